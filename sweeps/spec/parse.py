"""From what the file says of parameters to their models, with a fault for everything that does not fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from sweeps.errors import SpecFault
from sweeps.reader.model import validate
from sweeps.reader.sections import (
    SectionReader,
    build_setting,
    check_scalar,
    choose_model,
    find_models,
    is_list,
    is_null,
    is_optional,
    list_known,
    parse_section,
    refuse_unknown,
    take_value,
)
from sweeps.reader.tree import Entry, Items, KeyPath, Place, Scalar, Section, describe
from sweeps.space.distributions import Categorical, Constant, Distribution
from sweeps.space.numeric import IntUniform, Uniform
from sweeps.space.parameters import DISTRIBUTIONS, Choices, Parameter
from sweeps.trials.objectives import Objective
from trainer.config import TABLES, Setting, Value, find_row
from trainer.config.changes import CHANGES, CHANGES_EXAMPLE

AnyParameter = Distribution | Choices

DISTRIBUTION = Setting("distribution", "How values are drawn", "str", required=True, choices=tuple(DISTRIBUTIONS))
_PROBABILITY = Setting("probabilities", "Share of the draws", "float", required=True, low=0, high=1, low_open=True)
PARAMETER_KEYS = (
    "distribution",
    *dict.fromkeys(key for model in DISTRIBUTIONS.values() for key in model.model_fields if key != "distribution"),
    "choices",
)


def parse_parameters(entry: Entry, path: KeyPath, faults: list[SpecFault]) -> dict[str, Parameter]:
    """The parameters of a mapping that are without fault."""
    node = entry.node
    if isinstance(node, Scalar) and node.reported:
        return {}
    if not isinstance(node, Section):
        place = entry.key_place if isinstance(node, Scalar) and node.empty else node.place
        example = "for example `lr: 0.001`" if len(path) == 1 else "{} for a choice without settings"
        faults.append(place.fault(path, f"found {describe(node)}; allowed: a mapping of parameters, {example}"))
        return {}
    if not node.entries and len(path) == 1:
        faults.append(node.place.fault(path, "holds no parameter; say here what each trial is trained with"))
    made = {name: parse_parameter(inner, (*path, name), faults) for name, inner in node.entries.items()}
    return {name: parameter for name, parameter in made.items() if parameter is not None}


def parse_parameter(entry: Entry, path: KeyPath, faults: list[SpecFault]) -> Parameter | None:
    """The model of one parameter, or None and faults; faults inside choices leave the other choices standing."""
    node = entry.node
    if isinstance(node, Items):
        faults.append(node.place.fault(path, "found a list; to try several values write `values: [...]`"))
        return None
    if isinstance(node, Scalar):
        scalar = take_value(entry, path, faults)
        return None if scalar is None else Constant(value=scalar.value)
    bad = _refuse_parameter_keys(node, path, faults)
    model = _find_kind(node, path, bad, faults)
    if model is None:
        return None
    if _refuse_strange_keys(node, model, path, faults):
        return None
    data: dict[str, Any] = {}
    for key, inner in node.entries.items():
        if key not in model.model_fields or key == "distribution":
            continue
        value = _parse_value(inner, model, (*path, key), faults)
        if value is None and not (isinstance(inner.node, Scalar) and key == "value" and is_null(inner.node)):
            bad.add(key)
        else:
            data[key] = value
    made = validate(model, data, node, path, bad, faults)
    return cast("Parameter | None", made) if not bad else None


def _parse_value(entry: Entry, model: type[AnyParameter], path: KeyPath, faults: list[SpecFault]) -> Any:
    """What stands under one key of a parameter, or None and faults."""
    key = path[-1]
    if key == "values":
        return _parse_values(entry, path, faults)
    if key == "probabilities":
        return _parse_probabilities(entry, path, faults)
    if key == "choices":
        return _parse_choices(entry, path, faults)
    scalar = take_value(entry, path, faults)
    if scalar is None or key == "value":
        return None if scalar is None else scalar.value
    message = check_scalar(build_setting(key, model.model_fields[key]), scalar.value)
    if message:
        faults.append(entry.node.place.fault(path, message))
    return None if message else scalar.value


def _refuse_parameter_keys(node: Section, path: KeyPath, faults: list[SpecFault]) -> set[str]:
    """Adds faults for keys that no parameter has; returns the keys that were probably meant."""
    if path[-1] in TABLES and node.entries and all(find_row(path[-1], key) for key in node.entries):
        faults.append(node.place.fault(path, "found choices without the key `choices:` above them; add it"))
        return {"choices"}
    if path[-1] == CHANGES and not set(node.entries) & set(PARAMETER_KEYS):
        faults.append(node.place.fault(path, f"found a mapping; write it as a text: changes: '{CHANGES_EXAMPLE}'"))
        return {"value"}
    meant = refuse_unknown(node, PARAMETER_KEYS, path, faults)
    if not node.entries:
        faults.append(node.place.fault(path, "says nothing; give value, values, min and max, or choices"))
    return meant


def _find_kind(node: Section, path: KeyPath, bad: set[str], faults: list[SpecFault]) -> type[AnyParameter] | None:
    """Which model the keys of a parameter ask for: by `distribution`, else by W&B's rules."""
    if "distribution" in node.entries:
        return _find_distribution(node, (*path, "distribution"), faults)
    ways: dict[str, type[AnyParameter]] = {
        "value": Constant,
        "values": Categorical,
        "choices": Choices,
        "min": Uniform,
        "max": Uniform,
    }
    given = [key for key in node.entries if key in ways]
    kinds = list(dict.fromkeys(ways[key] for key in given))
    if len(kinds) > 1:
        _fault_exclusive(node, given, path, faults)
    elif not kinds and node.entries and not bad:
        shapes = [key for key in node.entries if key in PARAMETER_KEYS]
        if not shapes:  # keys that no parameter has are faults of their own
            return None
        remedy = "give value, values, min and max, or choices"
        if set(shapes) & {"mu", "sigma", "a", "b"}:
            remedy = "name the distribution, for example `distribution: normal`"
        faults.append(node.place.fault(path, f"says nothing with {', '.join(shapes)} alone; {remedy}"))
    elif kinds == [Uniform]:
        if "q" in node.entries:
            faults.append(node.entries["q"].key_place.fault((*path, "q"), "needs `distribution: q_uniform` beside it"))
            return None
        ends = [node.entries[key].node for key in given]
        whole = all(isinstance(end, Scalar) and isinstance(end.value, int) for end in ends)
        return IntUniform if whole else Uniform
    return kinds[0] if len(kinds) == 1 else None


def _fault_exclusive(node: Section, given: list[str], path: KeyPath, faults: list[SpecFault]) -> None:
    place = node.entries[given[1]].key_place
    others = [key for key in given if not {key, given[0]} <= {"min", "max"} and key != given[0]]
    faults.append(place.fault(path, f"{given[0]} and {others[0]} exclude each other; keep one"))


def _find_distribution(node: Section, path: KeyPath, faults: list[SpecFault]) -> type[AnyParameter] | None:
    entry = node.entries["distribution"]
    scalar = take_value(entry, path, faults)
    if scalar is None:
        return None
    message = check_scalar(DISTRIBUTION, scalar.value)
    if scalar.value in ("log_uniform", "q_log_uniform"):
        low, high = (_find_number(node.entries.get(key)) for key in ("min", "max"))
        if low is not None and high is not None and 0 < low < min(high, 1):
            meaning = f"min {low!r} would mean {math.exp(low):.3g}"
            message = f"takes exponents, so {meaning}; for values as they are write {scalar.value}_values"
    if message:
        faults.append(entry.node.place.fault(path, message))
        return None
    return DISTRIBUTIONS[str(scalar.value)]


def _find_number(entry: Entry | None) -> float | None:
    value = entry.node.value if entry and isinstance(entry.node, Scalar) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _refuse_strange_keys(node: Section, model: type[AnyParameter], path: KeyPath, faults: list[SpecFault]) -> bool:
    """Adds a fault for every key that other distributions have and this one does not; whether there is one."""
    takes = [key for key in model.model_fields if key != "distribution"]
    kind = model.model_fields["distribution"].default
    strange = [key for key in node.entries if key in PARAMETER_KEYS and key not in ("distribution", *takes)]
    for key in strange:
        message = f"means nothing to {kind}, which takes {', '.join(takes)}; remove it"
        faults.append(node.entries[key].key_place.fault((*path, key), message))
    return bool(strange)


def _parse_values(entry: Entry, path: KeyPath, faults: list[SpecFault]) -> tuple[Value, ...] | None:
    node = entry.node
    if isinstance(node, Scalar) and node.reported:
        return None
    if not isinstance(node, Items):
        place = entry.key_place if isinstance(node, Scalar) and node.empty else node.place
        faults.append(place.fault(path, f"found {describe(node)}; allowed: a list, for example [32, 64]"))
        return None
    if not node.items:
        faults.append(node.place.fault(path, "is an empty list; give at least one value"))
    values: dict[Value, Place] = {}
    for index, item in enumerate(node.items):
        here = (*path, str(index))
        scalar = take_value(Entry(item.place, item), here, faults)
        if scalar is not None and scalar.value in values:
            faults.append(item.place.fault(here, f"{describe(item)} is in the list twice; keep one"))
        elif scalar is not None:
            values[scalar.value] = item.place
    _refuse_second_names(values, path, faults)
    return tuple(values) or None


def _parse_probabilities(entry: Entry, path: KeyPath, faults: list[SpecFault]) -> tuple[float, ...] | None:
    node = entry.node
    if isinstance(node, Scalar) and node.reported:
        return None
    if not isinstance(node, Items):
        place = entry.key_place if isinstance(node, Scalar) and node.empty else node.place
        faults.append(place.fault(path, f"found {describe(node)}; allowed: a list, one number for each value"))
        return None
    found: list[float] = []
    for index, item in enumerate(node.items):
        here = (*path, str(index))
        scalar = take_value(Entry(item.place, item), here, faults)
        message = None if scalar is None else check_scalar(_PROBABILITY, scalar.value)
        if message:
            faults.append(item.place.fault(here, message))
        elif scalar is not None:
            found.append(float(cast("float", scalar.value)))
    return tuple(found) if len(found) == len(node.items) else None


def _parse_choices(entry: Entry, path: KeyPath, faults: list[SpecFault]) -> dict[str, dict[str, Parameter]] | None:
    node = entry.node
    if isinstance(node, Scalar) and node.reported:
        return None
    if not isinstance(node, Section):
        place = entry.key_place if isinstance(node, Scalar) and node.empty else node.place
        faults.append(place.fault(path, f"found {describe(node)}; allowed: a mapping of each choice to its settings"))
        return None
    if not node.entries:
        faults.append(node.place.fault(path, "holds no choice; give at least one"))
    _refuse_second_names({name: inner.key_place for name, inner in node.entries.items()}, path, faults)
    return {name: parse_parameters(inner, (*path, name), faults) for name, inner in node.entries.items()} or None


def _refuse_second_names(places: Mapping[Any, Place], path: KeyPath, faults: list[SpecFault]) -> None:
    """Adds a fault for each name of a row that is given under another of its names already."""
    table = path[-2]
    first: dict[str, str] = {}
    for name, place in places.items():
        row = find_row(table, name) if table in TABLES and isinstance(name, str) else None
        if row and first.setdefault(row.name, name) != name:
            faults.append(place.fault(path, f"{name} is the same {table} as {first[row.name]}; keep one of the two"))


# Keys of other sweep files that mean something elsewhere, with what to do here.
REFUSED_KEYS: Mapping[str, str] = {
    "program": "this project trains its own models: name one as parameters.model",
    "command": "this project trains its own models: name one as parameters.model",
    "entity": "name the MLflow server in MLFLOW_TRACKING_URI",
}


def parse_tree(tree: Section, model: type[BaseModel], faults: list[SpecFault]) -> dict[str, Any]:
    """The value of every key that is without fault, defaults included; `parameters` holds those that are.

    Args:
        tree: The whole file.
        model: SweepSpec.
        faults: Gains what is wrong.
    """
    fields = model.model_fields
    reader = SectionReader(tree, (), faults, fields, REFUSED_KEYS)
    parameters = {}
    if "parameters" in tree.entries:
        parameters = parse_parameters(tree.entries["parameters"], ("parameters",), faults)
    elif "parameters" not in reader.bad:
        faults.append(tree.place.fault(("parameters",), "missing; say here what each trial is trained with"))
    for key in list_known(tree, fields):
        entry, models = tree.entries[key], find_models(fields[key])
        if key == "parameters":
            continue
        if key == "metrics":
            reader.take_sections(key, Objective)
        elif key == "points":
            reader.take_mappings(key)
        elif is_list(fields[key]):
            reader.take_strings(key)
        elif not models or (is_null(entry.node) and is_optional(fields[key])):
            reader.take_scalar(key, fields[key])
        else:
            section_model = choose_model(entry, models, (key,), faults)
            reader.keep(key, section_model and parse_section(entry, section_model, (key,), faults))
    first = reader.data["metrics"][0].name if reader.data.get("metrics") else ""
    if first.startswith("val_") and "metric" not in tree.entries:
        (metric,) = find_models(fields["metric"])
        reader.keep("metric", metric.model_validate({"name": first}))
    # a stand-in for the parameters, so that faults of the rest do not wait until theirs are mended
    reader.build(model, {"parameters": {"epochs": Constant(value=1)}})
    defaults = {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
    known = {key: reader.data.get(key, defaults[key]) for key in defaults if key not in reader.bad}
    return known | {"parameters": parameters}
