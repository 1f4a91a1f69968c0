"""What a sweep searched, in plain values: a report says where to look next without the sweep file's grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.space.arms import Arm
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import InvLogUniformValues, LogUniform, LogUniformValues, Range
from sweeps.space.parameters import Parameter, walk
from sweeps.spec.arms import build_arms
from sweeps.spec.models import SweepSpec
from sweeps.stopping.rules import RULES
from trainer.config import TABLES, find_setting

_LOGARITHMIC = (LogUniform, LogUniformValues, InvLogUniformValues)
_COUNTS = ("trials_per_arm", "trials", "epochs_per_arm", "hours")


def describe_search(spec: SweepSpec) -> dict[str, Any]:
    """The ranges and lists of numbers of each arm, and the budget that a larger search would raise.

    Returns:
        `budget`: the key of a sweep file, and its number; empty for a grid without one. `can_extend`: whether the sweep
        can go on as a larger one. `arms`: arm -> parameter -> `path` (the key of a sweep file; null where `--set`
        cannot name it), and either `low`, `high`, `is_log`, `is_exponent` (the file gives powers of e) or `values`;
        beside them what the parameter can be at all: `least`, `most`, `least_open`, `most_open`, `is_integer`.
    """
    rule = spec.early_terminate
    count = next((key for key in _COUNTS if getattr(spec.budget, key) is not None), None)
    return {
        "budget": {"key": f"budget.{count}", "value": getattr(spec.budget, count)} if count else {},
        "can_extend": rule is None or not RULES[rule.type].changes_settings,
        "arms": {arm.name: _describe_arm(spec, arm) for arm in build_arms(spec)},
    }


def _describe_arm(spec: SweepSpec, arm: Arm) -> dict[str, Any]:
    chosen = {name: str(each.value) for name, each in arm.parameters.items() if isinstance(each, Constant)}
    found = {}
    for path, parameter in walk(spec.parameters, chosen):
        name = path[-1]
        if arm.parameters.get(name) != parameter:
            continue
        if (facts := _describe(parameter)) and (limits := _find_limits(name, chosen)) is not None:
            is_named = not any(set(key) & {".", "="} for key in path)
            found[name] = {"path": ".".join(("parameters", *path)) if is_named else None, **facts, **limits}
    return found


def _describe(parameter: Parameter) -> dict[str, Any]:
    """Ends of a range, or values of a list of numbers; nothing for all others."""
    if isinstance(parameter, Range):
        low, high = parameter.ends()
        return {
            "low": low,
            "high": high,
            "is_log": isinstance(parameter, _LOGARITHMIC),
            "is_exponent": isinstance(parameter, LogUniform),
            "is_integer": parameter.gives_whole_numbers,
        }
    if isinstance(parameter, Categorical) and parameter.probabilities is None:
        values = list(parameter.list_values())
        if len(set(values)) >= 3 and all(type(value) in (int, float) for value in values):
            return {"values": values, "is_integer": all(isinstance(value, int) for value in values)}
    return {}


def _find_limits(name: str, chosen: Mapping[str, str]) -> dict[str, Any] | None:
    setting = find_setting(name, {table: chosen[table] for table in TABLES if table in chosen})
    if setting is None:
        return None
    return {
        "least": setting.low,
        "most": setting.high,
        "least_open": setting.low_open,
        "most_open": setting.high_open,
    }
