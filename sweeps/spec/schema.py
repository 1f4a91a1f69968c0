"""The JSON Schema of the sweep file, generated from the models and from the trainer's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import IntUniform, Uniform
from sweeps.space.parameters import DISTRIBUTIONS
from sweeps.space.quantized import Quantized
from sweeps.spec.models import SweepSpec
from sweeps.stopping.rules import RULES
from trainer.config import SETTINGS, TABLES, Setting

RANGES: tuple[type[BaseModel], ...] = tuple(
    model for model in DISTRIBUTIONS.values() if model not in (Constant, Categorical)
)
OWN_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"  # package.module:name, whose settings only its module knows
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT, "uniqueItems": True}
_PARAMETER = "parameter_"  # begins the name of a parameter's definition
_SPACE = {"const": "default", "description": "the search space of the table for all settings that are not given here"}
_RANGES_OF: dict[str, tuple[type[BaseModel], ...]] = {
    "float_range": RANGES,
    "int_range": (IntUniform, *(model for model in RANGES if issubclass(model, Quantized))),
}
JSON_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "str": "string"}


def build_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of the file of a model whose `parameters` are the trainer's.

    Args:
        model: SweepSpec.
    """
    generated = model.model_json_schema()
    definitions = generated["$defs"]
    sections = {row.section.__name__: definitions[row.section.__name__] for row in RULES.values()}
    plain = ("Budget", "Confirm", "Floor", "Metric", "Objective", "Resources", "Select")
    sections |= {name: definitions[name] for name in plain}
    ranges = {_name(model): _build_range(model) for model in RANGES}
    properties = {**generated["properties"], "parameters": _build_parameters()}
    settings = _build_definitions()
    for key in ("compare", "constraints", "prior"):
        properties[key] = {"description": properties[key]["description"], "anyOf": [_TEXT, _TEXTS, {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sweep file",
        "description": model.__doc__,
        "type": "object",
        "additionalProperties": False,
        "required": ["parameters"],
        "properties": properties,
        "$defs": {
            **sections,
            **ranges,
            **{name: {"anyOf": [_refer(_name(model)) for model in models]} for name, models in _RANGES_OF.items()},
            **{f"{_PARAMETER}{name}": definition for name, definition in settings.items()},
            "optimizer_settings": _build_settings(list(settings), {"space": _SPACE}),
            "settings": {**_refer("optimizer_settings"), "properties": {"space": False}},
            "own_settings": {"type": "object"},
            "value_or_values": {"anyOf": [_VALUE, _VALUES]},
        },
    }


def _build_parameters() -> dict[str, Any]:
    return {"$ref": "#/$defs/settings", "minProperties": 1, "description": "What each trial is trained with."}


def _build_settings(names: list[str], beside: dict[str, Any]) -> dict[str, Any]:
    """What may stand where parameters are named: at the top, and inside each choice."""
    properties = {**beside, **{name: _refer(f"{_PARAMETER}{name}") for name in names}}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _build_definitions() -> dict[str, Any]:
    """The schema of each parameter, by its name: what several places refer to."""
    row_settings: dict[str, list[tuple[str, Setting]]] = {}
    for rows in TABLES.values():
        for row in rows.values():
            for setting in row.settings:
                row_settings.setdefault(setting.name, []).append((row.name, setting))
    properties = {name: _build_parameter(name, setting.description, (setting,)) for name, setting in SETTINGS.items()}
    properties |= {table: _build_table(table) for table in TABLES}
    for name, owners in row_settings.items():
        rows_having = ", ".join(row for row, _ in owners)
        description = f"{owners[0][1].description} ({rows_having})"
        properties[name] = _build_parameter(name, description, tuple(setting for _, setting in owners))
    return properties


def _build_table(table: str) -> dict[str, Any]:
    rows = TABLES[table].values()
    own = {"type": "string", "pattern": OWN_PATTERN, "description": f"a {table} of your own, as package.module:name"}
    value = {"oneOf": [*({"enum": [row.name, *row.aliases], "description": row.description} for row in rows), own]}
    settings = "optimizer_settings" if table == "optimizer" else "settings"  # one may also say `space: default`
    choices = {name: _refer(settings) for row in rows for name in (row.name, *row.aliases)}
    nested = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": choices}
    nested["patternProperties"] = {OWN_PATTERN: _refer("own_settings")}
    forms = [*_build_forms(table, value), _build_object({"choices": nested}, ("choices",))]
    return {"description": f"The {table}.", "anyOf": forms}


def _build_parameter(name: str, description: str, settings: tuple[Setting, ...]) -> dict[str, Any]:
    value = _build_value(settings)
    kinds = {setting.kind for setting in settings}
    ranges = next(([_refer(f"{kind}_range")] for kind in ("float", "int") if kind in kinds), [])
    return {"description": description, "anyOf": [*_build_forms(name, value), *ranges]}


def _build_value(settings: Iterable[Setting]) -> dict[str, Any]:
    """The values that at least one of the settings takes."""
    options: list[dict[str, Any]] = []
    for setting in settings:
        option: dict[str, Any] = {"type": JSON_TYPES[setting.kind]}
        if setting.choices:
            option["enum"] = list(setting.choices)
        if setting.low is not None:
            option["exclusiveMinimum" if setting.low_open else "minimum"] = setting.low
        if setting.high is not None:
            option["exclusiveMaximum" if setting.high_open else "maximum"] = setting.high
        beside: list[dict[str, Any]] = [{"const": word} for word in setting.words]
        if setting.optional:
            beside.append({"type": "null"})
        for each in [option, *beside]:
            if each not in options:
                options.append(each)
    return options[0] if len(options) == 1 else {"anyOf": options}


def _build_forms(name: str, value: dict[str, Any]) -> list[dict[str, Any]]:
    """The ways to write a parameter that is no range: bare, or a mapping with value or values."""
    same = _refer(f"{_PARAMETER}{name}/anyOf/0")  # the first of these forms
    return [value, {**_refer("value_or_values"), "properties": {"value": same, "values": {"items": same}}}]


def _refer(definition: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{definition}"}


def _build_range(model: type[BaseModel]) -> dict[str, Any]:
    keys = [key for key in model.model_fields if key != "distribution"]
    number = {"type": "integer"} if model is IntUniform else {"type": "number"}
    properties: dict[str, Any] = {"distribution": {"const": _name(model)}, **dict.fromkeys(keys, number)}
    required = [key for key in keys if model.model_fields[key].is_required()]
    inferred = model in (Uniform, IntUniform)  # W&B's rule for min and max without a distribution
    return _build_object(properties, tuple(required) if inferred else ("distribution", *required), model.__doc__)


def _name(model: type[BaseModel]) -> str:
    return str(model.model_fields["distribution"].default)


def _build_object(
    properties: dict[str, Any], required: tuple[str, ...], description: str | None = None
) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}
    return {"description": description.splitlines()[0], **schema} if description else schema


_PROBABILITIES = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 1}
_VALUE = _build_object({"distribution": {"const": "constant"}, "value": True}, ("value",))
_VALUES = _build_object(
    {
        "distribution": {"const": "categorical"},
        "values": {"type": "array", "minItems": 1, "uniqueItems": True},
        "probabilities": _PROBABILITIES,
    },
    ("values",),
)


def build_json_schema() -> dict[str, Any]:
    """The JSON Schema of the sweep file, for editors."""
    return build_schema(SweepSpec)


def format_json_schema() -> str:
    """The schema as a file with a line for each key and each definition: small, and a change of it is seen."""
    schema = build_json_schema()
    definitions = ",\n".join(f"  {_dump(name)}: {_dump(each)}" for name, each in schema.pop("$defs").items())
    keys = "".join(f"{_dump(key)}: {_dump(value)},\n" for key, value in schema.items())
    return f'{{\n{keys}"$defs": {{\n{definitions}\n}}\n}}\n'


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
