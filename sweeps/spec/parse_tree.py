"""From the tree of a sweep file to the values of SweepSpec, with a fault for everything that does not fit."""

from typing import Any

from pydantic import BaseModel

from sweeps.errors import SpecFault
from sweeps.reader.sections import (
    REFUSED,
    choose_model,
    find_models,
    is_list,
    is_null,
    is_optional,
    list_known,
    parse_section,
    refuse_unknown,
    take_mappings,
    take_scalar,
    take_sections,
    take_strings,
    validate,
)
from sweeps.reader.tree import Section
from sweeps.space.distributions import Constant
from sweeps.spec.parse import parse_parameters
from sweeps.trials.objectives import Objective


def parse_tree(tree: Section, model: type[BaseModel], faults: list[SpecFault]) -> dict[str, Any]:
    """The value of every key that is without fault, defaults included; `parameters` holds those that are.

    Args:
        tree: The whole file.
        model: SweepSpec.
        faults: Gains what is wrong.
    """
    fields = model.model_fields
    data: dict[str, Any] = {}
    bad = refuse_unknown(tree, tuple(fields), (), faults, REFUSED[""])
    parameters = {}
    if "parameters" in tree.entries:
        parameters = parse_parameters(tree.entries["parameters"], ("parameters",), faults)
    elif "parameters" not in bad:
        faults.append(tree.place.fault(("parameters",), "missing; say here what each trial is trained with"))
    for key, entry in list_known(tree, fields):
        models = find_models(fields[key])
        if key == "parameters":
            continue
        if key == "metrics":
            take_sections(entry, Objective, (key,), data, bad, faults)
            continue
        if key == "points":
            take_mappings(entry, (key,), data, bad, faults)
            continue
        if is_list(fields[key]):
            take_strings(entry, (key,), data, bad, faults)
            continue
        if not models or (is_null(entry.node) and is_optional(fields[key])):
            take_scalar(entry, fields[key], (key,), data, bad, faults)
            continue
        section_model = choose_model(entry, models, (key,), faults)
        section = None if section_model is None else parse_section(entry, section_model, (key,), faults)
        if section is None:
            bad.add(key)
        else:
            data[key] = section
    first = data["metrics"][0].name if data.get("metrics") else ""
    if first.startswith("val_") and "metric" not in tree.entries:
        (metric,) = find_models(fields["metric"])
        data["metric"] = metric.model_validate({"name": first})
    # a stand-in for the parameters, so that faults of the rest do not wait until theirs are mended
    validate(model, data | {"parameters": {"epochs": Constant(value=1)}}, tree, (), bad, faults)
    defaults = {key: field.get_default(call_default_factory=True) for key, field in fields.items()}
    return {key: data.get(key, defaults[key]) for key in defaults if key not in bad} | {"parameters": parameters}
