"""What a sweep file can name, row by row: settings, sources, and a whole sweep file as an example. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

from pydantic import BaseModel

from sweeps.reader.sections import build_setting
from sweeps.search.methods import METHODS, Method
from sweeps.space.parameters import DISTRIBUTIONS
from sweeps.stopping.rules import RULES, RuleRow
from sweeps.trials.objectives import METRICS, MetricRow
from trainer.config import SETTINGS, TABLES, Row, Setting, Value
from trainer.tables.optimizer_row import OptimizerRow

LR = {"distribution": "log_uniform_values", "min": 0.0001, "max": 0.1}
_ENDS: Mapping[str, Mapping[str, Any]] = {
    "log_uniform": {"min": -9, "max": -2},
    "q_log_uniform": {"min": 0, "max": 4, "q": 1},
    "q_log_uniform_values": {"min": 1, "max": 64, "q": 1},
    "int_uniform": {"min": 1, "max": 64},
    "q_uniform": {"min": 8, "max": 64, "q": 8},
    "log_normal": {"mu": -5, "sigma": 1},
    "normal": {"mu": 0.5, "sigma": 0.05},
    "beta": {"a": 2, "b": 5},
    "q_normal": {"mu": 64, "sigma": 4, "q": 1},
    "q_log_normal": {"mu": 3, "sigma": 0.2, "q": 1},
    "q_beta": {"a": 2, "b": 5, "q": 0.1},
    "uniform": {"min": 0.001, "max": 0.1},
    "constant": {"value": 0.01},
    "categorical": {"values": [0.001, 0.01, 0.1], "probabilities": [0.25, 0.5, 0.25]},
}


class Topic(StrEnum):
    """What can be looked up."""

    OPTIMIZERS = "optimizers"
    MODELS = "models"
    INITIALIZERS = "initializers"
    LOSSES = "losses"
    SCHEDULES = "schedules"
    METHODS = "methods"
    RULES = "rules"
    PARAMETERS = "parameters"
    DISTRIBUTIONS = "distributions"
    METRICS = "metrics"


@dataclass(frozen=True)
class Entry:
    """One thing that a sweep file can name.

    Attributes:
        topic: The table that it is a row of.
        name: As in a sweep file.
        description: One line.
        source: Paper or documentation; empty where there is none.
        aliases: Other names that are legal.
        facts: Sentences on what is particular to it.
        settings: What can be set of it; for a parameter itself and nothing else.
        example: A whole sweep file that uses it.
    """

    topic: Topic
    name: str
    description: str
    source: str = ""
    aliases: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    example: str = ""


def list_entries(topic: Topic) -> tuple[Entry, ...]:
    """The rows of a table, in its order."""
    return tuple(_BUILDERS[topic]())


def find_entries(name: str) -> tuple[Entry, ...]:
    """Everything that has a name, in whatever table: a loss and a metric may be called the same."""
    entries = (entry for topic in Topic for entry in list_entries(topic))
    return tuple(entry for entry in entries if name in (entry.name, *entry.aliases))


def list_names() -> list[str]:
    """Every name that can be looked up."""
    names = (name for topic in Topic for entry in list_entries(topic) for name in (entry.name, *entry.aliases))
    return list(dict.fromkeys(names))


def _list_rows(table: str, topic: Topic) -> Iterator[Entry]:
    for row in TABLES[table].values():
        facts = tuple(_describe_optimizer(row)) if isinstance(row, OptimizerRow) else ()
        example = _write_row(table, row)
        yield Entry(topic, row.name, row.description, row.source, row.aliases, facts, row.settings, example)


def _describe_optimizer(row: OptimizerRow) -> Iterator[str]:
    """Sentences on what a step of it costs and needs."""
    if row.package:
        yield f"It needs the package {row.package} (pip install 'sweeps[optimizers]')"
    if row.decoupled_weight_decay:
        yield "Weight decay is decoupled: it shrinks the weights and is no part of the gradient"
    evaluations = row.gradient_evaluations_per_step
    if evaluations != 1:
        yield f"A step evaluates {evaluations if evaluations else 'a varying number of'} gradients"
    if row.differentiates_gradient:
        yield "A step differentiates the gradient once more"
    if row.fixes_lr:
        yield "Only the learning rate of its first step matters, so that a schedule changes nothing"
    if row.fused_devices:
        yield f"A step is one fused kernel on {' and '.join(row.fused_devices)}"
    if row.default_space is not None:
        spaces = (f"{name} {write_flow(space)}" for name, space in row.default_space.items())
        yield f"`space: default` stands for {'; '.join(spaces)}"


def _write_row(table: str, row: Row) -> str:
    """A sweep file with a row in it."""
    if isinstance(row, OptimizerRow):
        space = {"space": "default"} if row.default_space is not None else {"lr": LR}
        return write_example({"optimizer": {"choices": {row.name: space}}})
    required = {each.name: _choose_value(each) for each in row.settings if each.required and not each.complement_of}
    chosen: Any = {"choices": {row.name: required}} if required else row.name
    return write_example({table: chosen, "lr": LR})


def _list_methods() -> Iterator[Entry]:
    for method in METHODS.values():
        yield Entry(
            Topic.METHODS,
            method.name,
            method.description,
            method.source,
            facts=tuple(_describe_method(method)),
            example=_write_method(method),
        )


def _describe_method(method: Method) -> Iterator[str]:
    if method.is_exhaustive:
        yield "It tries each combination once and then ends, so it needs no budget"
    yield "It learns from the trials that have ended" if method.learns else "It does not learn from trials"
    if method.shares_points:
        yield "Every arm is tried at the same points, with the same seeds"
    if not method.takes_choices:
        yield "It takes no settings that depend on what is chosen for another parameter, except for the arms"
    if not method.takes_categories:
        yield "It takes ranges of numbers alone, no lists of values"
    if method.min_dimensions > 1:
        yield f"It needs {method.min_dimensions} parameters or more to search"


def _write_method(method: Method) -> str:
    if method.is_exhaustive:
        return write_example({"lr": {"values": [0.001, 0.01, 0.1]}}, method=method.name, budget=None)
    return write_example({"lr": LR, "weight_decay": {**LR, "max": 0.01}}, method=method.name)


def _list_rules() -> Iterator[Entry]:
    for rule in RULES.values():
        yield Entry(
            Topic.RULES,
            rule.name,
            rule.description,
            rule.source,
            facts=_describe_rule(rule),
            settings=_list_fields(rule.section),
            example=_write_rule(rule),
        )


_RULE_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "hyperband": {"min_iter": 1, "eta": 3},
    "median": {"min_iter": 2},
    "pbt": {"interval": 3},
}


def _write_rule(rule: RuleRow) -> str:
    section = {"type": rule.name, **_RULE_EXAMPLES.get(rule.name, {})}
    if rule.changes_settings:
        return write_example({"lr": LR}, method="random", early_terminate=section)
    return write_example({"lr": LR}, early_terminate=section)


def _describe_rule(rule: RuleRow) -> tuple[str, ...]:
    if rule.changes_settings:
        return ("Trials pause, and may go on with other settings than they began with",)
    return ("Trials pause, and may go on later",) if rule.pauses else ("A trial that is stopped has ended",)


def _list_fields(model: type[BaseModel]) -> tuple[Setting, ...]:
    """The keys of a section, as settings."""
    fields = {name: field for name, field in model.model_fields.items() if name not in ("type", "distribution")}
    return tuple(
        replace(
            build_setting(name, field),
            default=None if field.is_required() else field.default,
            required=field.is_required(),
        )
        for name, field in fields.items()
    )


def _list_parameters() -> Iterator[Entry]:
    """The settings of every trial, the tables themselves, and the settings of rows, each with the rows that have it."""
    for setting in SETTINGS.values():
        example = _write_setting(setting.name, setting)
        yield Entry(Topic.PARAMETERS, setting.name, setting.description, settings=(setting,), example=example)
    for table, topic in _TABLE_TOPICS.items():
        facts = (f"`sweeps explain {topic}` lists them: {', '.join(TABLES[table])}",)
        first, second = list(TABLES[table])[:2] if len(TABLES[table]) > 1 else (*TABLES[table], *TABLES[table])
        example = write_example({table: {"values": [first, second]}}, method="grid", budget=None)
        yield Entry(Topic.PARAMETERS, table, f"A row of the table of {topic}", facts=facts, example=example)
    yield from _list_row_settings()


def _list_row_settings() -> Iterator[Entry]:
    owners: dict[str, list[tuple[str, Row, Setting]]] = {}
    for table, rows in TABLES.items():
        for row in rows.values():
            for setting in row.settings:
                owners.setdefault(setting.name, []).append((table, row, setting))
    for name, found in owners.items():
        table, row, setting = found[0]
        having = ", ".join(f"{each.name} ({_show_default(own)})" for _, each, own in found)
        needed = [each for each in row.settings if each.required or each.name == name]
        settings = {each.name: _choose_value(each) for each in needed}
        example = write_example({table: {"choices": {row.name: settings}}}, method="grid")
        facts = (f"Of these rows, with its default there: {having}",)
        yield Entry(
            Topic.PARAMETERS, name, setting.description, facts=facts, settings=(_merge(found),), example=example
        )


def _merge(found: list[tuple[str, Row, Setting]]) -> Setting:
    """The setting of the first row that has it; its default is that row's where all agree, else none is shown."""
    settings = [setting for _, _, setting in found]
    same = all(each.default == settings[0].default for each in settings)
    return settings[0] if same else replace(settings[0], default=None, required=True)


def _write_setting(name: str, setting: Setting) -> str:
    beside = _BESIDE.get(name, {})
    return write_example({name: _choose_value(setting), "lr": LR, **beside})


_BESIDE: Mapping[str, Mapping[str, Any]] = {
    "data_dir": {"dataset": "cifar10"},
    "crop_padding_mode": {"crop_padding": 4},
    "early_stopping_min_delta": {"early_stopping_patience": 3},
}
_VALUES: Mapping[str, Value] = {
    "data_dir": "my-pictures",
    "train_size": 10_000,
    "gradient_clip_norm": 1.0,
    "ema_decay": 0.99,
    "early_stopping_patience": 3,
    "early_stopping_min_delta": 0.001,
    "warmup_epochs": 1,
    "mixup_alpha": 0.2,
    "changes": '{"2": {"lr": 0.001}}',
}


def _choose_value(setting: Setting) -> Value:
    """A value of a setting for an example: one that is worth writing."""
    if setting.name in _VALUES:
        return _VALUES[setting.name]
    if setting.default is not None:
        return setting.default
    low = setting.low or 0
    return 1 - 0.1 if setting.high == 1 else int(low) + 1


def _list_distributions() -> Iterator[Entry]:
    for name, model in DISTRIBUTIONS.items():
        space = {**_ENDS.get(name, LR), "distribution": name}
        parameter, method = _DRAWN.get(name, "lr"), _METHOD_OF.get(name, "bayes")
        first_line = " ".join((model.__doc__ or "").split("\n\n")[0].split()).rstrip(".")
        example = write_example({parameter: space}, beside={"lr": LR}, method=method)
        yield Entry(Topic.DISTRIBUTIONS, name, first_line, settings=_list_fields(model), example=example)


_DRAWN: Mapping[str, str] = {  # the parameter that is worth drawing so; of all others the learning rate
    "normal": "dropout",
    "beta": "dropout",
    "q_beta": "brightness_jitter",
    **dict.fromkeys(("int_uniform", "q_uniform", "q_log_uniform", "q_log_uniform_values"), "batch_size"),
    **dict.fromkeys(("q_normal", "q_log_normal"), "batch_size"),
}
_METHOD_OF: Mapping[str, str] = {"constant": "grid", "categorical": "random"}


def _list_metrics() -> Iterator[Entry]:
    for metric in METRICS.values():
        facts = (f"It is to be {metric.goal}d, and {metric.allowed}",)
        yield Entry(
            Topic.METRICS, metric.name, metric.description, metric.source, facts=facts, example=_write_metric(metric)
        )


def _write_metric(metric: MetricRow) -> str:
    if metric.name.startswith("val_"):
        return write_example({"lr": LR}, metric={"name": metric.name, "goal": metric.goal})
    return write_example({"lr": LR}, metrics=[{"name": "val_accuracy"}, {"name": metric.name}])


def write_example(parameters: Mapping[str, Any], beside: Mapping[str, Any] | None = None, **sections: Any) -> str:
    """The text of a sweep file of nine epochs and eight trials.

    Args:
        parameters: To be explained.
        beside: Others, which stand where `parameters` has none of that name.
        sections: Keys of the file; None leaves one out.
    """
    keys = {"budget": {"trials": 8}, **sections}
    lines = [f"{key}: {write_flow(value)}" for key, value in keys.items() if value is not None]
    everything = {"epochs": 9, **(beside or {}), **parameters}
    inner = [f"  {name}: {write_flow(value)}" for name, value in everything.items()]
    return "\n".join([*lines, "parameters:", *inner]) + "\n"


def write_flow(value: Any) -> str:
    """A value as YAML has it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {write_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(write_flow, value))}]"
    if isinstance(value, str) and value.startswith(("{", "[")):
        return f"'{value}'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _show_default(setting: Setting) -> str:
    return "to be given" if setting.required else write_flow(setting.default)


_TABLE_TOPICS: Mapping[str, Topic] = {
    "optimizer": Topic.OPTIMIZERS,
    "model": Topic.MODELS,
    "initializer": Topic.INITIALIZERS,
    "loss": Topic.LOSSES,
    "schedule": Topic.SCHEDULES,
}
_BUILDERS: Mapping[Topic, Callable[[], Iterator[Entry]]] = {
    **{topic: partial(_list_rows, table, topic) for table, topic in _TABLE_TOPICS.items()},
    Topic.METHODS: _list_methods,
    Topic.RULES: _list_rules,
    Topic.PARAMETERS: _list_parameters,
    Topic.DISTRIBUTIONS: _list_distributions,
    Topic.METRICS: _list_metrics,
}
