"""The JSON Schema of the sweep file, generated from the models and from the trainer's tables."""

from __future__ import annotations

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
_PROBABILITIES = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 1}
JSON_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "str": "string"}


def build_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of the file of a model whose `parameters` are the trainer's.

    Args:
        model: SweepSpec.
    """
    generated = model.model_json_schema()
    definitions = generated["$defs"]
    sections = {row.section.__name__: definitions[row.section.__name__] for row in RULES.values()}
    sections |= {name: definitions[name] for name in ("Budget", "Confirm", "Floor", "Metric", "Objective", "Resources")}
    ranges = {_name(model): _build_range(model) for model in RANGES}
    properties = {**generated["properties"], "parameters": _build_parameters()}
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
            "settings": _build_settings(),
            "optimizer_settings": _build_optimizer_settings(),
            "own_settings": {"type": "object"},
        },
    }


def _build_parameters() -> dict[str, Any]:
    return {"$ref": "#/$defs/settings", "minProperties": 1, "description": "What each trial is trained with."}


def _build_settings() -> dict[str, Any]:
    """What may stand where parameters are named: at the top, and inside each choice."""
    row_settings: dict[str, list[tuple[str, Setting]]] = {}
    for rows in TABLES.values():
        for row in rows.values():
            for setting in row.settings:
                row_settings.setdefault(setting.name, []).append((row.name, setting))
    properties = {name: _build_parameter(setting.description, (setting,)) for name, setting in SETTINGS.items()}
    properties |= {table: _build_table(table) for table in TABLES}
    for name, owners in row_settings.items():
        rows_having = ", ".join(row for row, _ in owners)
        description = f"{owners[0][1].description} ({rows_having})"
        properties[name] = _build_parameter(description, tuple(setting for _, setting in owners))
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _build_optimizer_settings() -> dict[str, Any]:
    """What may stand inside a choice of an optimizer."""
    space = {
        "const": "default",
        "description": "the search space of the table for all settings that are not given here",
    }
    settings = _build_settings()
    return settings | {"properties": {"space": space, **settings["properties"]}}


def _build_table(table: str) -> dict[str, Any]:
    rows = TABLES[table].values()
    names = [(name, row.description) for row in rows for name in (row.name, *row.aliases)]
    own = {"type": "string", "pattern": OWN_PATTERN, "description": f"a {table} of your own, as package.module:name"}
    value = {"oneOf": [*({"const": name, "description": description} for name, description in names), own]}
    choices = {name: {"$ref": "#/$defs/settings", "description": description} for name, description in names}
    if table == "optimizer":  # what else a choice may say
        choices = {
            name: {"$ref": "#/$defs/optimizer_settings", "description": description} for name, description in names
        }
    nested = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": choices}
    nested["patternProperties"] = {OWN_PATTERN: {"$ref": "#/$defs/own_settings"}}
    forms = [*_build_forms(value, ()), _build_object({"choices": nested}, ("choices",))]
    return {"description": f"The {table}.", "anyOf": forms}


def _build_parameter(description: str, settings: tuple[Setting, ...]) -> dict[str, Any]:
    value = _build_value(settings)
    kinds = {setting.kind for setting in settings}
    ranges: tuple[type[BaseModel], ...] = ()
    if "float" in kinds:
        ranges = RANGES
    elif "int" in kinds:
        ranges = (IntUniform, *(model for model in RANGES if issubclass(model, Quantized)))
    return {"description": description, "anyOf": _build_forms(value, ranges)}


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


def _build_forms(value: dict[str, Any], ranges: tuple[type[BaseModel], ...]) -> list[dict[str, Any]]:
    """The ways to write a parameter: bare, value, values, and each range."""
    values = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    return [
        value,
        _build_object({"distribution": {"const": "constant"}, "value": value}, ("value",)),
        _build_object(
            {"distribution": {"const": "categorical"}, "values": values, "probabilities": _PROBABILITIES}, ("values",)
        ),
        *({"$ref": f"#/$defs/{_name(model)}"} for model in ranges),
    ]


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


def build_json_schema() -> dict[str, Any]:
    """The JSON Schema of the sweep file, for editors."""
    return build_schema(SweepSpec)
