"""What a search was limited to, as plain values: whoever reads its result can say how it could go on. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sweeps.search.methods import METHODS
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import LogUniform, LogUniformValues, Range
from sweeps.space.parameters import Parameter, walk
from sweeps.space.quantized import Quantized
from sweeps.spec.models import SweepSpec
from sweeps.stopping.rules import RULES
from trainer.config import TABLES, find_setting

MIN_LISTED = 3  # numbers; of two each is an end
_GROWING = ("trials", "trials_per_arm", "epochs_per_arm", "hours", "plateau")


def describe_search(spec: SweepSpec) -> dict[str, Any]:
    """The limits of a search that `sweeps run --extend` can raise: JSON, for the manifest.

    Returns:
        The fields of `tracking.analysis.growth.SearchLimits`, ranges as those of `RangeLimits`.
    """
    rule = spec.early_terminate
    budget = {f"budget.{name}": limit for name in _GROWING if (limit := getattr(spec.budget, name)) is not None}
    budget |= {"run_cap": spec.run_cap} if spec.run_cap is not None else {}
    return {
        "can_grow": rule is None or not RULES[rule.type].changes_settings,
        "exhaustive": METHODS[spec.method].is_exhaustive,
        "budget": budget,
        "target": spec.target,
        "ranges": list(_list_ranges(spec)),
    }


def _list_ranges(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    rows = {
        name: str(parameter.value)
        for name, parameter in spec.parameters.items()
        if name in TABLES and isinstance(parameter, Constant)
    }
    for path, parameter in walk(spec.parameters):
        facts = _describe(parameter)
        if not facts:
            continue
        where = {path[index - 1]: path[index + 1] for index, part in enumerate(path) if part == "choices" and index}
        yield {
            "key": ".".join(map(_quote, ("parameters", *path))),
            "name": path[-1],
            "where": where,
            **facts,
            **_describe_setting(path[-1], {**rows, **where}),
        }


def _describe(parameter: Parameter) -> dict[str, Any]:
    """Ends, and how what lies between them is searched; nothing for what is no number."""
    if isinstance(parameter, Range):
        exponents = isinstance(parameter, LogUniform)
        step = parameter.q if isinstance(parameter, Quantized) else 1 if parameter.gives_whole_numbers else None
        how = {"exponents": exponents, "log": exponents or isinstance(parameter, LogUniformValues), "step": step}
        return {"min": parameter.min, "max": parameter.max, "values": None, **how}
    if not isinstance(parameter, Categorical) or parameter.probabilities is not None:
        return {}
    values = [value for value in parameter.values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(set(values)) < MIN_LISTED or len(values) < len(parameter.values):
        return {}
    step = 1 if all(isinstance(value, int) for value in values) else None
    ends = {"min": min(values), "max": max(values)}
    return {**ends, "values": values, "exponents": False, "log": ends["min"] > 0, "step": step}


def _describe_setting(name: str, rows: Mapping[str, str]) -> dict[str, Any]:
    """What a setting can be at all."""
    setting = find_setting(name, rows)
    if setting is None:  # of the user's own class, which says nothing of it
        return {"least": None, "most": None, "least_open": False, "most_open": False}
    least, most = (None if end is None or math.isinf(end) else end for end in (setting.low, setting.high))
    return {"least": least, "most": most, "least_open": setting.low_open, "most_open": setting.high_open}


def _quote(key: str) -> str:
    """A key as `--set` takes it: in quotes where it holds a dot."""
    return f'"{key}"' if "." in key else key
