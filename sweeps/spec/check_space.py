"""Faults of parameters that only the trainer can know: settings, their values, and configurations it would refuse."""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product

from sweeps.errors import SpecFault
from sweeps.reader.faults import Faults
from sweeps.reader.sections import check_scalar
from sweeps.reader.tree import Items, KeyPath, Scalar, Section
from sweeps.space.constraints import parse_constraint
from sweeps.space.distributions import Categorical, Constant, Distribution
from sweeps.space.numeric import IntUniform
from sweeps.space.parameters import Choices, Parameter
from sweeps.space.quantized import Quantized, QUniform
from sweeps.spec.check_configurations import Leaf, check_configurations
from trainer.config import DEFAULT_ROWS, TABLES, Setting, Value, find_row, find_setting, known_names, rows_with
from trainer.tables.settings import did_you_mean

MAX_BRANCHES = 1_000  # combinations that are looked at
MIN_BRANCHES = 10
MAX_LEAVES = 50_000  # parameters of all of them
MAX_TEXT_CHARACTERS = 4096  # of a path; MLflow cuts a param after 6,000


def check_space(parameters: Mapping[str, Parameter], constraints: Sequence[str], faults: Faults) -> None:
    """Adds the faults of parameters and their values, and of configurations that the space can draw.

    Args:
        parameters: Those that are without fault so far.
        constraints: Conditions; configurations that do not fulfil them are never drawn.
        faults: Gains what is wrong.
    """
    branches = _expand(parameters, ("parameters",))
    doubtful = _find_doubtful_tables(faults)
    lacking: dict[KeyPath, list[Mapping[str, str]]] = {}
    having: dict[KeyPath, list[Mapping[str, str]]] = {}
    checked: set[tuple[int, int]] = set()  # leaf and setting, of which many branches have the same
    for branch in branches:
        chosen = _find_chosen(branch)
        _check_repeated(branch, faults)
        for leaf in branch:
            having.setdefault(leaf.path, []).append(chosen)
            setting = find_setting(leaf.name, chosen)
            if setting is None:
                lacking.setdefault(leaf.path, []).append(chosen)
            elif (key := (id(leaf), id(setting))) not in checked:
                checked.add(key)
                _check_values(leaf, setting, faults)
    for path, without in lacking.items():
        message = _explain_lacking(path[-1], without, having[path], doubtful)
        if message:
            faults.at_key(path, message)
    if not any(fault.key_path.startswith("constraints") for fault in faults):
        check_configurations(branches, tuple(map(parse_constraint, constraints)), faults)


def _find_doubtful_tables(faults: Iterable[SpecFault]) -> set[str]:
    """Tables whose row is not known, since what the file says about it is at fault."""
    doubtful = set()
    for fault in faults:
        path = (*fault.key_path.split("."), "", "")
        doubtful |= {
            key
            for key, below, further in zip(path, path[1:], path[2:], strict=False)
            if key in TABLES and (below != "choices" or not further)
        }
    return doubtful


def _check_repeated(branch: Iterable[Leaf], faults: Faults) -> None:
    """Adds a fault for each parameter that a choice gives although the file gives it elsewhere too."""
    first: dict[str, KeyPath] = {}
    for leaf in branch:
        if leaf.name not in first:
            first[leaf.name] = leaf.path
            continue
        deep, other = sorted((leaf.path, first[leaf.name]), key=len, reverse=True)
        line = faults.line(other)
        where = f" in line {line}" if line is not None else ""
        message = f"is given already as {'.'.join(other)}{where}; keep one of the two"
        faults.at_key(deep, message)


def _expand(parameters: Mapping[str, Parameter], path: KeyPath, max_branches: int = MAX_BRANCHES) -> list[list[Leaf]]:
    """The combinations of table rows and choices, each with the parameters that are drawn in it.

    Where there are very many, it is some of them, in which every row and every choice is met.
    """
    options: list[list[list[Leaf]]] = []
    for name, parameter in parameters.items():
        here = (*path, name)
        match parameter:
            case Choices(choices=choices) if _takes_names(name):
                share = max(MIN_BRANCHES, max_branches // len(choices))
                options.append(
                    [
                        [Leaf(name, Constant(value=choice), (*here, "choices", choice)), *rest]
                        for choice, settings in choices.items()
                        for rest in _expand(settings, (*here, "choices", choice), share)
                    ]
                )
            case Categorical(values=values) if name in TABLES:
                options.append([[Leaf(name, Constant(value=value), here)] for value in values])
            case _:
                options.append([[Leaf(name, parameter, here)]])
    limit = max(MIN_BRANCHES, min(max_branches, MAX_LEAVES // max(1, len(options))))
    if math.prod(map(len, options)) <= limit:
        return [list(chain.from_iterable(combination)) for combination in product(*options)]
    generator = random.Random(0)  # the same faults each time
    columns = [_spread(each, limit, generator) for each in options]
    return [list(chain.from_iterable(combination)) for combination in zip(*columns, strict=True)]


def _spread(options: list[list[Leaf]], number: int, generator: random.Random) -> list[list[Leaf]]:
    """So many options, each as often as the others, in random order; evenly chosen ones where there are more."""
    spread = [
        options[index * len(options) // number if len(options) > number else index % len(options)]
        for index in range(number)
    ]
    generator.shuffle(spread)
    return spread


def _takes_names(name: str) -> bool:
    setting = find_setting(name, {})
    return setting is not None and setting.choices is not None


def _find_chosen(branch: Iterable[Leaf]) -> dict[str, str]:
    return {
        leaf.name: str(leaf.parameter.value)
        for leaf in branch
        if leaf.name in TABLES and isinstance(leaf.parameter, Constant)
    }


def _check_values(leaf: Leaf, setting: Setting, faults: Faults) -> None:
    """Adds a fault for each value that the setting cannot take."""
    parameter, path = leaf.parameter, leaf.path
    if isinstance(parameter, Constant) and path[-1] != leaf.name:  # the name of a choice, which is a key of the file
        message = _check_value(setting, parameter.value)
        if message:
            faults.at_key(path, message)
        return
    written = faults.find(path)
    declared = isinstance(written, Section) and "distribution" in written.entries
    message = _check_kind(parameter, setting, declared=declared)
    if message:
        faults.at_key(path, message)
        return
    for here, item, value in _list_written(parameter, path, faults):
        message = _check_value(setting, value)
        if message and item is None:
            faults.at_value(here, message)
        elif message and item is not None:
            faults.add(item.place.fault(here, message))
    message = _check_draws(parameter, setting)
    if message:
        faults.at_value(path, message)


def _list_limits(parameter: Distribution) -> list[str]:
    """The keys of a parameter that say an outermost value of it."""
    keys = [key for key in ("value", "min", "max") if key in type(parameter).model_fields]
    return [key for key in keys if getattr(parameter, key) in parameter.ends()]


def _check_draws(parameter: Parameter, setting: Setting) -> str | None:
    """A fault of an outermost value that is drawn and that nobody wrote; a sentence if there is one."""
    if isinstance(parameter, Choices | Constant | Categorical):
        return None
    written = [getattr(parameter, key) for key in _list_limits(parameter)]
    if all(value in written or check_scalar(setting, value) is None for value in parameter.ends()):
        return None
    low, high = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in parameter.ends()[:2])
    return (
        f"found {parameter.distribution}, whose draws lie between {low} and {high}; allowed: {setting.allowed}; "
        "give it other numbers, or take a distribution with a min and a max"
    )


def _check_value(setting: Setting, value: Value) -> str | None:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        return f"found {len(value):,} characters; allowed: {MAX_TEXT_CHARACTERS:,}; write a shorter text"
    return check_scalar(setting, value)


def _list_written(
    parameter: Parameter, path: KeyPath, faults: Faults
) -> Iterator[tuple[KeyPath, Scalar | None, Value]]:
    """Yields path, item of a list (or None) and value of everything that a parameter can be at its outermost."""
    written = faults.find((*path, "values"))
    if isinstance(written, Items) and isinstance(parameter, Categorical | Constant):
        wanted = parameter.values if isinstance(parameter, Categorical) else (parameter.value,)
        distinct = set(wanted)
        for index, item in enumerate(written.items):
            if isinstance(item, Scalar) and item.value in distinct:
                yield (*path, "values", str(index)), item, item.value
        return
    if isinstance(parameter, Choices):
        return
    ends, keys = parameter.ends(), _list_limits(parameter)
    for key in keys:
        here = path if faults.find((*path, key)) is None else (*path, key)  # a bare value has no key of its own
        yield here, None, ends[ends.index(getattr(parameter, key))]
    if isinstance(parameter, Categorical | Constant) and len(keys) < len(ends):
        for value in ends:
            yield path, None, value


def _check_kind(parameter: Parameter, setting: Setting, *, declared: bool) -> str | None:
    """Whether a distribution gives values of the setting's kind; a sentence if not."""
    name = setting.name
    if isinstance(parameter, Choices):
        return f"choices are names with settings of their own; {name} takes {setting.allowed}; write values:"
    if isinstance(parameter, Constant | Categorical):
        return None
    if setting.kind in ("str", "bool"):
        return f"{parameter.distribution} gives numbers; {name} takes {setting.allowed}; write values:"
    if setting.kind == "float" and isinstance(parameter, IntUniform) and not declared:
        return (
            f"min and max are whole numbers, which means int_uniform, but {name} takes any number; "
            f"write {float(parameter.min)!r} and {float(parameter.max)!r}, or state the distribution"
        )
    if setting.kind == "int" and not parameter.gives_whole_numbers:
        remedy = "values:, int_uniform or q_uniform"
        if isinstance(parameter, QUniform):
            remedy = "min, max and q as whole numbers"
        elif isinstance(parameter, Quantized):
            remedy = "q as a whole number"
        return f"{parameter.distribution} gives fractions, but {name} takes {setting.allowed}; write {remedy}"
    return None


def _explain_lacking(
    name: str, without: Sequence[Mapping[str, str]], everywhere: Sequence[Mapping[str, str]], doubtful: set[str]
) -> str | None:
    """Why a parameter cannot stand where it does; None when another fault explains it.

    Args:
        name: The parameter.
        without: The rows chosen in each branch that has no such setting.
        everywhere: The rows chosen in each branch that the parameter is part of.
        doubtful: Tables whose row is not known.
    """
    owners = rows_with(name)
    if not owners:
        hint = did_you_mean(name, sorted(known_names()))
        return f"unknown parameter; {hint or '`sweeps schema` lists all there are'}"
    table = owners[0][0]
    having = [row for owner, row in owners if owner == table]
    chosen_rows = dict.fromkeys(chosen.get(table, DEFAULT_ROWS[table]) for chosen in without)
    rows = [row for row in chosen_rows if find_row(table, row)]
    if table in doubtful or not rows:
        return None
    named = dict.fromkeys(chosen.get(table, "") for chosen in everywhere)
    others = [name for name in named if (row := find_row(table, name)) and row.name in having]
    found = f"{', '.join(rows)} {'has' if len(rows) == 1 else 'have'} no such setting"
    if not others:
        return f"{found}, so nothing would use it; {table}s that have it: {', '.join(having)}"
    also = f", and for {', '.join(others[1:])} likewise" if others[1:] else ""
    return f"{found}; write it under parameters.{table}.choices.{others[0]}{also}"
