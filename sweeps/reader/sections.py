"""From mappings of single values to models, and the sentences for what does not fit."""

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sweeps.errors import SpecFault
from sweeps.reader.model import M, validate
from sweeps.reader.tree import Entry, Items, KeyPath, Node, Scalar, Section, describe
from trainer.config import Setting, Value
from trainer.tables.settings import did_you_mean


class SectionReader:
    """Takes the keys of one mapping of the file, one after another; null is an empty list.

    Args:
        node: The mapping.
        path: Its key path.
        faults: Gains what is wrong.
        allowed: Its keys; every other one is a fault.
        refused: Keys that mean something elsewhere, with what to do here.

    Attributes:
        data: The values that were taken.
        bad: Keys that are at fault, about which nothing more is said.
    """

    def __init__(
        self,
        node: Section,
        path: KeyPath,
        faults: list[SpecFault],
        allowed: Iterable[str],
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self._node, self._path, self._faults = node, path, faults
        self.data: dict[str, Any] = {}
        self.bad = refuse_unknown(node, tuple(allowed), path, faults, refused)

    def keep(self, key: str, value: Any) -> None:
        """Takes a value that was read elsewhere; None for one that is at fault."""
        if value is None:
            self.bad.add(key)
        else:
            self.data[key] = value

    def take_scalar(self, key: str, field: FieldInfo) -> None:
        """Takes a single value."""
        entry, path = self._node.entries[key], (*self._path, key)
        scalar = take_value(entry, path, self._faults)
        may_be_empty = field.annotation is str and not any(isinstance(limit, MinLen) for limit in field.metadata)
        message = None
        if scalar is not None and not (may_be_empty and scalar.value == ""):
            message = check_scalar(build_setting(key, field), scalar.value)
        if scalar is not None and message is None:
            self.data[key] = scalar.value
            return
        if message:
            self._faults.append(entry.node.place.fault(path, message))
        self.bad.add(key)

    def take_strings(self, key: str) -> None:
        """Takes a text or a list of texts, as a tuple."""
        entry, path = self._node.entries[key], (*self._path, key)
        node = entry.node
        if is_null(node):
            return
        items = node.items if isinstance(node, Items) else (node,)
        texts: dict[str, None] = {}
        for index, item in enumerate(items):
            here = (*path, str(index)) if isinstance(node, Items) else path
            scalar = take_value(Entry(entry.key_place if item is node else item.place, item), here, self._faults)
            if scalar is None:
                continue
            if not isinstance(scalar.value, str) or not scalar.value.strip():
                self._faults.append(item.place.fault(here, f"found {describe(item)}; allowed: text"))
            elif scalar.value in texts:
                self._faults.append(item.place.fault(here, f"{describe(item)} is in the list twice; keep one"))
            else:
                texts[scalar.value] = None
        self.keep(key, tuple(texts) if len(texts) == len(items) else None)

    def take_mappings(self, key: str) -> None:
        """Takes a list of mappings of single values."""
        items, path = self._list_items(key, "a list, for example [{lr: 0.1}]"), (*self._path, key)
        if items is None:
            return
        made: list[dict[str, Value]] = []
        num_faults = len(self._faults)
        for index, item in enumerate(items):
            here = (*path, str(index))
            if not isinstance(item, Section) or not item.entries:
                allowed = "parameters, for example {lr: 0.1}"
                self._faults.append(item.place.fault(here, f"found {describe(item)}; allowed: {allowed}"))
                continue
            values = {name: take_value(inner, (*here, name), self._faults) for name, inner in item.entries.items()}
            made.append({name: scalar.value for name, scalar in values.items() if scalar is not None})
        self.keep(key, tuple(made) if len(self._faults) == num_faults else None)

    def take_sections(self, key: str, model: type[BaseModel]) -> None:
        """Takes a list of models."""
        items, path = self._list_items(key, "a list of mappings"), (*self._path, key)
        if items is None:
            return
        made = [
            parse_section(Entry(item.place, item), model, (*path, str(index)), self._faults)
            for index, item in enumerate(items)
        ]
        self.keep(key, None if None in made else tuple(made))

    def build(self, model: type[M], beside: Mapping[str, Any] | None = None) -> M | None:
        """The model of what was taken, or None and faults.

        Args:
            model: What to make.
            beside: Values that were not taken from the file.
        """
        return validate(model, self.data | dict(beside or {}), self._node, self._path, self.bad, self._faults)

    def _list_items(self, key: str, allowed: str) -> Sequence[Node] | None:
        """The items of a list; None for null, and None and a fault for what is no list."""
        entry = self._node.entries[key]
        node = entry.node
        if isinstance(node, Items):
            return node.items
        if not is_null(node):
            place = entry.key_place if isinstance(node, Scalar) and node.empty else node.place
            self._faults.append(place.fault((*self._path, key), f"found {describe(node)}; allowed: {allowed}"))
            self.bad.add(key)
        return None


def parse_section(entry: Entry, model: type[M], path: KeyPath, faults: list[SpecFault]) -> M | None:
    """The model of a mapping of single values, and of mappings with a model of their own, or None and faults."""
    node, keys = entry.node, ", ".join(model.model_fields)
    if isinstance(node, Scalar) and node.reported:
        return None
    if isinstance(node, Scalar) and node.empty:
        faults.append(entry.key_place.fault(path, f"is empty; give some of {keys}, or remove the key"))
        return None
    if not isinstance(node, Section):
        faults.append(node.place.fault(path, f"found {describe(node)}; allowed: a mapping with some of {keys}"))
        return None
    reader = SectionReader(node, path, faults, model.model_fields)
    num_faults = len(faults)
    for key in list_known(node, model.model_fields):
        field, inner = model.model_fields[key], node.entries[key]
        if (nested := find_models(field)) and not (is_null(inner.node) and is_optional(field)):
            reader.keep(key, parse_section(inner, nested[0], (*path, key), faults))
        else:
            reader.take_scalar(key, field)
    made = reader.build(model)
    return made if len(faults) == num_faults and not reader.bad else None


def refuse_unknown(
    node: Section,
    allowed: tuple[str, ...],
    path: KeyPath,
    faults: list[SpecFault],
    refused: Mapping[str, str] | None = None,
) -> set[str]:
    """Adds a fault for every key that is not allowed; returns the allowed keys that were probably meant."""
    meant: set[str] = set()
    for key, entry in node.entries.items():
        if key in allowed:
            continue
        hint = did_you_mean(key, [each for each in allowed if each not in node.entries]) or did_you_mean(key, allowed)
        if refused is not None and key in refused:
            faults.append(entry.key_place.fault((*path, key), f"not supported; {refused[key]}"))
            continue
        if hint:
            meant.add(hint.split("'")[1])
        faults.append(entry.key_place.fault((*path, key), f"unknown key; {hint or 'allowed: ' + ', '.join(allowed)}"))
    return meant


def check_scalar(setting: Setting, value: Value) -> str | None:
    """What is wrong with a value of a sweep file, as a sentence; None when it is legal."""
    message = setting.check(value)
    if message and setting.kind == "bool" and str(value).lower() in ("yes", "no", "on", "off"):
        return f"found the text {value!r}, which YAML 1.2 does not read as a truth value; allowed: {setting.allowed}"
    unquoted = setting.kind == "str" and setting.choices is None and not isinstance(value, str | None)
    if message and unquoted:
        return f"found {value!r}; allowed: {setting.allowed}; put it in quotes"
    return message


def list_known(node: Section, fields: Iterable[str]) -> list[str]:
    """The keys of a mapping that mean something, in the order of the file."""
    return [key for key in node.entries if key in fields]


def take_value(entry: Entry, path: KeyPath, faults: list[SpecFault]) -> Scalar | None:
    """The single value of an entry, or None and a fault."""
    node = entry.node
    if isinstance(node, Scalar) and not node.empty:
        return None if node.reported else node
    if isinstance(node, Scalar):
        faults.append(entry.key_place.fault(path, "is empty; write a value, or remove the key"))
    else:
        faults.append(node.place.fault(path, f"found {describe(node)}; allowed: a single value"))
    return None


def build_setting(name: str, field: FieldInfo) -> Setting:
    """The trainer's description of a legal value, from a field of a model, so that all faults speak alike."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else get_args(kinds[0]) or None
    limits = {type(limit): limit for limit in field.metadata}
    low, above = limits.get(Ge), limits.get(Gt)
    high, below = limits.get(Le), limits.get(Lt)
    names: Mapping[type, Literal["float", "int", "bool", "str"]] = {float: "float", int: "int", bool: "bool"}
    kind = next((names[each] for each in names if each in kinds), names.get(str, "str"))
    return Setting(
        name=name,
        description=field.description or name,
        kind=kind,
        low=low.ge if low else above.gt if above else None,
        low_open=above is not None,
        high=high.le if high else below.lt if below else None,
        high_open=below is not None,
        choices=tuple(each for each in choices if each is not None) if choices else None,
        optional=is_optional(field),
    )


def find_models(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """The models of a key that holds a mapping, of which its `type` chooses; none for a single value."""
    kinds = get_args(field.annotation) or (field.annotation,)
    return tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))


def choose_model(
    entry: Entry, models: tuple[type[BaseModel], ...], path: KeyPath, faults: list[SpecFault]
) -> type[BaseModel] | None:
    """The model that a mapping's `type` names, the first one where it names none; None and a fault for no such type."""
    if len(models) == 1 or not isinstance(entry.node, Section) or "type" not in entry.node.entries:
        return models[0]
    named = {str(get_args(model.model_fields["type"].annotation)[0]): model for model in models}
    here = (*path, "type")
    scalar = take_value(entry.node.entries["type"], here, faults)
    if scalar is None:
        return None
    if scalar.value not in named:
        setting = Setting("type", "The rule.", "str", choices=tuple(named))
        faults.append(scalar.place.fault(here, check_scalar(setting, scalar.value) or ""))
        return None
    return named[str(scalar.value)]


def is_list(field: FieldInfo) -> bool:
    """Whether a key holds a list of texts."""
    return field.annotation == tuple[str, ...]


def is_optional(field: FieldInfo) -> bool:
    """Whether null is a legal value."""
    return NoneType in get_args(field.annotation)


def is_null(node: Node) -> bool:
    """Whether null was written, as against nothing."""
    return isinstance(node, Scalar) and node.value is None and not node.empty and not node.reported
