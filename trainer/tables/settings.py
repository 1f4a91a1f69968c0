"""One value a user can set, one row of a table, and what is wrong with what was set."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from trainer.tables.elsewhere import ELSEWHERE, list_spellings

Value = float | int | str | bool | None

_MAX_SHOWN = 120  # characters of a value, in a message
_MAX_EDITS = 3  # of a name that is taken for another
_MAX_COMPARED = 100  # characters of a name that is looked for among others


@dataclass(frozen=True)
class Setting:
    """One value of a training run that a user can set.

    Attributes:
        name: Its flat name, the same in a sweep file, in `TrialConfig` and in MLflow.
        description: One line, with the unit in words where there is one.
        kind: The type of the value. A whole number is a legal float; a bool is never a number.
        default: The value that an absent setting has; None means "off" where `optional`, nothing where `required`.
        required: Whether the setting must be given when its row is chosen.
        low: Least legal number, None for no limit; excluded when `low_open`.
        high: Greatest legal number, None for no limit; excluded when `high_open`.
        choices: The legal texts, None for any text.
        aliases: Other names that are legal too, each with the one of the choices that it stands for.
        unit: The unit for tables and axes ("epochs", "pixels"), None for a pure number.
        optional: Whether null (None) is a legal value.
        words: Texts that are legal beside the numbers.
        complement_of: The name of the setting that this one spells as one minus its value, None for most settings.
            Only one of the two may be given.
    """

    name: str
    description: str
    kind: Literal["float", "int", "bool", "str"]
    default: Value = None
    required: bool = False
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    unit: str | None = None
    optional: bool = False
    words: tuple[str, ...] = ()
    complement_of: str | None = None

    @property
    def allowed(self) -> str:
        """The legal values in words: 'a whole number from 1', 'fp32, bf16 or auto'."""
        if self.kind == "bool":
            words = "true or false"
        elif self.kind == "str":
            words = _join_or(self.choices) if self.choices else "a text that is not empty"
        else:
            words = "a whole number" if self.kind == "int" else "a number"
            if self.low is not None:
                words += f" {'above' if self.low_open else 'from'} {_format(self.low)}"
            if self.high is not None:
                words += f"{' and' if self.low_open else ''} {'below' if self.high_open else 'to'} {_format(self.high)}"
        words = _join_or((words, *self.words))
        return f"{words}, or null" if self.optional else words

    def check(self, value: object) -> str | None:
        """What is wrong with a value, as one sentence (found, allowed, remedy); None when it is legal."""
        remedy = self._find_remedy(value)
        return None if remedy is None else f"found {show(value)}; allowed: {self.allowed}; {remedy}"

    def convert(self, value: Value) -> Value:
        """A legal value in the setting's own type and names, so that 1 and 1.0 make the same configuration."""
        if value is not None and self.kind == "float" and value not in self.words:
            assert not isinstance(value, str)
            return float(value)
        return dict(self.aliases).get(value, value) if isinstance(value, str) else value

    def _find_remedy(self, value: object) -> str | None:
        """What to do about an illegal value, None when it is legal."""
        if value is None:
            return None if self.optional else "give a value or leave the setting out"
        if self.kind == "bool":
            return None if isinstance(value, bool) else "write true or false without quotes"
        if self.kind == "str":
            return self._find_text_remedy(value)
        return self._find_number_remedy(value)

    def _find_text_remedy(self, value: object) -> str | None:
        if not isinstance(value, str):
            return "write a text" if self.choices is None else "choose one of these"
        if self.choices is None:
            return None if value else "write a text or leave the setting out"
        names = (*self.choices, *(alias for alias, _ in self.aliases))
        return None if value in names else did_you_mean(value, names) or "choose one of these"

    def _find_number_remedy(self, value: object) -> str | None:
        if value in self.words:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            if isinstance(value, str) and _is_number(value):
                return f"write {value.strip()} without quotes"
            return "write a number"
        if not math.isfinite(value):
            return "write a finite number"
        if self.kind == "int" and not isinstance(value, int):
            return (
                f"write {round(value)}" if value == round(value) else f"write {math.floor(value)} or {math.ceil(value)}"
            )
        too_low = self.low is not None and (value <= self.low if self.low_open else value < self.low)
        too_high = self.high is not None and (value >= self.high if self.high_open else value > self.high)
        return f"choose a {'greater' if too_low else 'smaller'} value" if too_low or too_high else None


@dataclass(frozen=True)
class Row:
    """One row of a table (optimizers, models, ...): a thing that a user can choose by name.

    Attributes:
        name: The name in a sweep file.
        description: One line on what it does.
        source: Paper or documentation it follows, with the place in it.
        settings: The settings that only this row has.
        aliases: What it is called elsewhere, legal wherever its name is.
    """

    name: str
    description: str
    source: str
    settings: tuple[Setting, ...]
    aliases: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def defaults(self) -> dict[str, Value]:
        """Default value of each setting of the row, without alternative spellings and required settings."""
        return {each.name: each.default for each in self.settings if not each.complement_of and not each.required}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a configuration.

    Attributes:
        parameter: Flat name of the parameter at fault.
        message: A sentence that says what was found, what is allowed and what to do.
    """

    parameter: str
    message: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}"


class ConfigError(ValueError):
    """A configuration cannot be used; carries every fault that was found, not only the first.

    Attributes:
        faults: What is wrong, in the order of the settings that were given.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Fault, ...]]]:
        return ConfigError, (self.faults,)


class FrozenSettings(Mapping[str, Value]):
    """Settings that cannot change: a mapping that can be hashed, compared and pickled."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"FrozenSettings({self._values!r})"


def get_float(settings: Mapping[str, Value], name: str) -> float:
    """The value of a float setting, typed as one."""
    value = settings[name]
    assert isinstance(value, int | float)
    return float(value)


def get_int(settings: Mapping[str, Value], name: str) -> int:
    """The value of an int setting, typed as one."""
    value = settings[name]
    assert isinstance(value, int)
    return value


def find_nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of some names that another most probably stands for; None where that is not clear.

    What another tool calls so is meant before what is spelt alike; a word of another tool whose meaning is not among
    the names has no nearest one, however it is spelt.
    """
    if len(name) > _MAX_COMPARED:
        return None
    by_lower_case = {each.lower(): each for each in names}
    forms = list_spellings(name)
    same = next((by_lower_case[form] for form in forms if form in by_lower_case), None)
    if same is not None:
        return same
    if any(form in ELSEWHERE for form in forms):
        meant = {each for form in forms for each in ELSEWHERE.get(form, ()) if each in by_lower_case}
        return by_lower_case[meant.pop()] if len(meant) == 1 else None
    spelt = name.lower()
    edits = {each: count_edits(spelt, each) for each in by_lower_case if abs(len(each) - len(spelt)) <= _MAX_EDITS}
    near = [each for each, number in edits.items() if number <= min(len(spelt) // 3, _MAX_EDITS)]
    if not near:
        return None
    return by_lower_case[min(near, key=lambda each: (edits[each], -difflib.SequenceMatcher(a=spelt, b=each).ratio()))]


def count_edits(first: str, second: str) -> int:
    """Letters to insert, delete, replace or swap with their neighbour to make one word of the other.

    Source: the optimal string alignment distance, a restricted Damerau-Levenshtein distance.
    """
    before: list[int] = []
    row = list(range(len(second) + 1))
    for index, letter in enumerate(first, 1):
        earlier, before, row = before, row, [index]
        for column, other in enumerate(second, 1):
            cost = min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != other))
            if index > 1 and column > 1 and letter == second[column - 2] and first[index - 2] == other:
                cost = min(cost, earlier[column - 2] + 1)
            row.append(cost)
    return row[-1]


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """The question "did you mean ...?" with the nearest of some names; None where none is near."""
    nearest = find_nearest(name, names)
    return None if nearest is None else f"did you mean {nearest!r}?"


def show(value: object) -> str:
    """A value as it stands in messages: as in a sweep file, texts in quotes and not longer than can be read."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and len(value) > _MAX_SHOWN:
        return f"{value[:_MAX_SHOWN]!r}... ({len(value):,} characters)"
    return repr(value)


def _format(number: float) -> str:
    return f"{number:.0f}" if number == round(number) and abs(number) < 1e15 else f"{number:g}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _join_or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


@dataclass(frozen=True)
class Choice:
    """A chosen row of a table with its settings.

    Attributes:
        name: The row's own name, whichever of its names was given.
        settings: Every setting of the row by name, defaults included, alternative spellings resolved.
    """

    name: str
    settings: Mapping[str, Value]
