"""What a sweep was expected to come to, beside what it came to: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from tracking.analysis.labels import format_duration
from tracking.table import SweepTable


@dataclass(frozen=True)
class ForecastRow:
    """One quantity.

    Attributes:
        name: What it is.
        predicted: In words, with its range.
        actual: In words.
        difference: Of the actual from the predicted value, as a share of the latter; 0.1 is a tenth more.
    """

    name: str
    predicted: str
    actual: str
    difference: float


def build_forecast(table: SweepTable) -> tuple[ForecastRow, ...]:
    """Predicted and actual wall time, core-hours and epochs; none of a sweep without a plan, or that was cut off."""
    plan = table.manifest.get("plan")
    starts = [trial.start_time for trial in table.trials if trial.start_time]
    ends = [trial.end_time for trial in table.trials if trial.end_time]
    if not isinstance(plan, Mapping) or table.state != "completed" or not starts or not ends:
        return ()
    cpus = float(plan.get("cpus", 1))
    actual: dict[str, float] = {
        "wall_seconds": _find_wall_seconds(max(ends) - min(starts), table.seconds),
        "core_hours": sum(trial.seconds for trial in table.trials) * cpus / 3600,
        "epochs": float(sum(trial.num_epochs for trial in table.trials)),
    }
    rows = (_build_row(*words, plan.get(key), actual[key]) for key, words in _QUANTITIES.items())
    return tuple(row for row in rows if row is not None)


def _find_wall_seconds(span: float, driven: float | None) -> float:
    """From the first trial's start to the last one's end, without the time between two drivers of the sweep."""
    return max(0.0, span if driven is None else min(span, driven))


_QUANTITIES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "wall_seconds": ("wall time", format_duration),
    "core_hours": ("core-hours", lambda hours: f"{hours:.2f}"),
    "epochs": ("epochs", lambda number: f"{number:,.0f}"),
}


def _build_row(name: str, show: Callable[[float], str], expected: object, actual: float) -> ForecastRow | None:
    if not isinstance(expected, Mapping) or not expected.get("mid"):
        return None
    low, mid, high = (cast("float", expected[key]) for key in ("low", "mid", "high"))
    predicted = show(mid) if show(low) == show(high) else f"{show(mid)} ({show(low)} to {show(high)})"
    return ForecastRow(name, predicted, show(actual), actual / mid - 1)
