"""Faults of numbers that a metric is compared with, and of numbers that could never come to act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweeps.reader.faults import Faults
from sweeps.reader.tree import KeyPath
from sweeps.space.distributions import Constant
from sweeps.space.parameters import Choices, Parameter, walk
from sweeps.trials.objectives import METRICS
from trainer.config import SETTINGS

# Settings that act after so many epochs, and not before.
WITHIN_EPOCHS = ("step_epochs", "plateau_patience", "early_stopping_patience")


def check_limits(draft: Mapping[str, Any], faults: Faults) -> None:
    """Adds the faults of limits that tell no trials apart.

    Args:
        draft: The keys of SweepSpec that are without fault so far, defaults included.
        faults: Gains what is wrong.
    """
    _find_floor_faults(draft, faults)
    _find_idle(draft, faults)
    metric = draft.get("metric")
    if metric is None:
        return
    for path, limit in _list_limits(draft):
        message = METRICS[metric.name].check_limit(limit)
        if message:
            faults.at_value(path, message)


def _list_limits(draft: Mapping[str, Any]) -> Iterator[tuple[KeyPath, float]]:
    """Yields every number of a file that the metric is compared with."""
    for section, keys in (("metric", ("target",)), ("budget", ("target",)), ("floor", ("min", "max"))):
        for key in keys:
            limit = getattr(draft.get(section), key, None)
            if limit is not None:
                yield (section, key), limit


def _find_idle(draft: Mapping[str, Any], faults: Faults) -> None:
    """Faults of lengths, in epochs, that no training is long enough for, whatever is drawn."""
    parameters = draft["parameters"]
    epochs = _find_ends(parameters.get("epochs", Constant(value=SETTINGS["epochs"].default)))
    for path, parameter in walk(parameters, path=("parameters",)):
        lengths = _find_ends(parameter) if path[-1] in WITHIN_EPOCHS else ()
        if epochs and lengths and min(lengths) >= max(epochs):
            most = max(epochs)
            message = f"found {min(lengths):g} in {most:g} epochs, so that it never acts; allowed: below {most:g}"
            faults.at_key(path, message)


def _find_ends(parameter: Parameter) -> tuple[float, ...]:
    """The numbers among the outermost values of a parameter."""
    if isinstance(parameter, Choices):
        return ()
    return tuple(end for end in parameter.ends() if isinstance(end, int | float) and not isinstance(end, bool))


def _find_floor_faults(draft: Mapping[str, Any], faults: Faults) -> None:
    """Faults of a floor on the wrong side, or that no epoch would look at."""
    floor, metric = draft.get("floor"), draft.get("metric")
    if floor is None or metric is None:
        return
    wanted = "min" if metric.goal == "maximize" else "max"
    if getattr(floor, wanted) is None:
        other = "max" if wanted == "min" else "min"
        message = f"found for {metric.name}, which is to be {metric.goal}d; write {wanted}"
        faults.at_key(("floor", other), message)
    epochs = draft["parameters"].get("epochs", Constant(value=SETTINGS["epochs"].default))
    if isinstance(epochs, Constant) and isinstance(epochs.value, int) and floor.after >= epochs.value:
        message = f"found {floor.after}; allowed: below parameters.epochs, {epochs.value}"
        faults.at_value(("floor", "after"), message)
