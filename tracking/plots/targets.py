"""How soon trials reach a target, those that never did among them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.labels import format_number, format_percent, is_fraction, title_of
from tracking.names import TrialState
from tracking.plots.style import NoPlot, Plot, arm_color, arm_dash, style_figure
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tracking.statistics.targets import TargetTimes

MIN_TRIALS = 3
_NEVER = (TrialState.DIVERGED, TrialState.EARLY_STOPPED)  # they would not have got there, as far as anybody knows


@dataclass(frozen=True)
class Race:
    """How soon the trials of each arm reach a target.

    Attributes:
        target: Of the goal metric.
        unit: "epochs" or "seconds".
        arms: Arm -> its times.
    """

    target: float
    unit: str
    arms: dict[str, TargetTimes]


def find_target(table: SweepTable) -> float | None:
    """What the best trial of every arm reached: the worst of the arms' best values; None with an arm without one."""
    best = [value for arm in table.arms if (ranking := table.ranking(arm)) and (value := table.value(ranking[0]))]
    if not best or len(best) < len(table.arms):
        return None
    goal = Goal(table.goal)
    worst = goal.worst(best)
    if not is_fraction(table.goal_metric):
        return worst
    return math.floor(200 * worst) / 200 if goal is Goal.MAXIMIZE else math.ceil(200 * worst) / 200


def measure_times(table: SweepTable, unit: str) -> Race | None:
    """How soon each arm's search trials reach the target; None where an arm has fewer than three that say something."""
    import numpy as np

    from tracking.statistics.targets import time_to_target

    target = find_target(table)
    if target is None:
        return None
    arms = {}
    for arm in table.arms:
        found = [time for trial in table.select(arm) if (time := _find_time(table, trial, target, unit)) is not None]
        if len(found) < MIN_TRIALS:
            return None
        costs, reached = zip(*found, strict=True)
        arms[arm] = time_to_target(np.array(costs), np.array(reached))
    return Race(target, unit, arms)


def _find_time(table: SweepTable, trial: TrialRow, target: float, unit: str) -> tuple[float, bool] | None:
    """What the trial had cost when it reached the target, or when it ended without; None where it says nothing."""
    goal = Goal(table.goal)
    points = trial.history.get(table.goal_metric, ())
    first = next((epoch for epoch, value in points if goal.reaches(value, target)), None)
    if first is not None:
        return _cost_until(trial, first, unit), True
    if trial.state in _NEVER:
        return math.inf, False
    cost = _cost_until(trial, trial.num_epochs, unit)
    return (cost, False) if cost > 0 else None


def _cost_until(trial: TrialRow, epoch: int, unit: str) -> float:
    if unit == "epochs":
        return float(epoch)
    return max((seconds for number, seconds in trial.elapsed().items() if number <= epoch), default=0.0)


def build_target_plot(table: SweepTable, unit: str) -> Plot | NoPlot:
    """The share of each arm's trials that had reached the target by each cost."""
    race, title = measure_times(table, unit), f"{unit.capitalize()} to the target"
    if race is None or not any(times.num_reached for times in race.arms.values()):
        return NoPlot(title, f"It needs {MIN_TRIALS} ended trials of every arm, one of them with a value.")
    import plotly.graph_objects as go

    figure = go.Figure()
    last = max(float(times.costs[-1]) for times in race.arms.values() if len(times.costs))
    for arm, times in race.arms.items():
        figure.add_trace(_build_steps(table, arm, times, 1.06 * last))
    style_figure(figure, "accuracy")
    top = max(float(times.shares[-1]) for times in race.arms.values() if len(times.shares))
    figure.update_yaxes(
        title_text="trials that got there", range=[-0.02 * top, min(1.02, 1.15 * top)], tickformat=".0%"
    )
    figure.update_xaxes(title_text="epoch" if unit == "epochs" else "seconds of training", rangemode="tozero")
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    is_percent = is_fraction(table.goal_metric)
    target = format_percent(race.target) if is_percent else format_number(race.target)
    caption = (
        f"The share of an arm’s trials that had reached {title_of(table.goal_metric)} {target}, which some trial of "
        "every arm did. Diverged and early stopped trials count as never. "
        f"{_tell_medians(race.arms, unit)}"
    )
    return Plot(f"target-{unit}", title, caption, figure)


def _tell_medians(arms: dict[str, TargetTimes], unit: str) -> str:
    reached = "; ".join(f"{arm} {times.num_reached} of {times.num_trials}" for arm, times in arms.items())
    medians = [f"{arm} {times.median:.3g}" for arm, times in arms.items() if times.median is not None]
    text = f"Got there: {reached}."
    return f"{text} Half of them by, in {unit}: {', '.join(medians)}." if medians else text


def _build_steps(table: SweepTable, arm: str, times: TargetTimes, end: float) -> go.Scatter:
    import plotly.graph_objects as go

    costs, shares = times.costs.tolist(), times.shares.tolist()
    return go.Scatter(
        x=[0.0, *costs, end],
        y=[0.0, *shares, shares[-1] if shares else 0.0],
        mode="lines",
        line={"color": arm_color(table.arms, arm), "width": 2.5, "dash": arm_dash(table.arms, arm), "shape": "hv"},
        name=escape(arm),
        legendgroup=arm,
        hovertemplate=f"{escape(arm)}: %{{y:.0%}} by %{{x:.4~g}}<extra></extra>",
    )
