"""A sweep as flat lists of settings, to be laid beside another one. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sweeps.spec.file import build_file_data
from sweeps.spec.models import SweepSpec
from trainer.config import ConfigError, Value, build_trial_config

_LEAVES = ({"values"}, {"distribution"})  # mappings with such keys are distributions, and stay whole
_NOT_OF_THE_TASK = ("dropout", "l2_penalty")  # settings of models that are tuned as a learning rate is


def list_settings(spec: SweepSpec) -> dict[str, str]:
    """Dotted key -> value as text, in the order of the file; name and description are left out."""
    data = build_file_data(spec)
    return dict(_walk({key: value for key, value in data.items() if key not in ("name", "description")}, ""))


def list_task(trials: Iterable[Mapping[str, Value]]) -> dict[str, tuple[Value, ...]]:
    """What a sweep's trials were to learn, beside their images: setting -> its values in all of them, in their order.

    These are the length of training, the number of training images, the model and the settings of its shape, defaults
    included. Trials that cannot be built here, since they name code that is missing, are left out.

    Args:
        trials: Parameters of each.
    """
    found: dict[str, set[Value]] = {}
    for parameters in trials:
        try:
            config = build_trial_config(parameters)
        except ConfigError:
            continue
        shape = {name: value for name, value in config.model.settings.items() if name not in _NOT_OF_THE_TASK}
        task = {"epochs": config.epochs, "train_size": config.train_size, "model": config.model.name, **shape}
        for name, value in task.items():
            found.setdefault(name, set()).add(value)
    return {name: tuple(sorted(values, key=_order)) for name, values in found.items()}


def _order(value: Value) -> tuple[float, str]:
    return (float(value) if isinstance(value, int | float) else 0.0, str(value))


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value and not any(keys <= value.keys() for keys in _LEAVES):
        for key, each in value.items():
            yield from _walk(each, path if key == "choices" else f"{path}.{key}" if path else str(key))
    else:
        yield path, _format(value)


def _format(value: Any) -> str:
    """A distribution as `log_uniform_values: max 1, min 0.001`, a list as its values, a value as in the file."""
    if isinstance(value, Mapping) and "distribution" in value:
        rest = ", ".join(f"{key} {_format(each)}" for key, each in value.items() if key != "distribution")
        return f"{value['distribution']}: {rest}"
    if isinstance(value, Mapping) and set(value) == {"values"}:
        return " | ".join(map(_format, value["values"]))
    return value if isinstance(value, str) else json.dumps(value, default=str)
