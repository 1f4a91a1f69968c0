"""What a search of another size would have come to: the best it finds, and which arm leads. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.labels import title_of
from tracking.names import TrialState
from tracking.plots.style import NoPlot, Plot, arm_color, arm_dash, build_buttons, fade, style_figure
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tracking.statistics.budget_curves import ArmTrials, Curve

UNITS: Mapping[str, Callable[[TrialRow], float]] = {
    "trials": lambda _: 1.0,
    "epochs": lambda trial: float(trial.num_epochs),
    "seconds": lambda trial: trial.seconds,
}
MIN_TRIALS = 3  # of an arm; with fewer there is no curve
_TOO_FEW = f"It needs {MIN_TRIALS} ended trials of an arm, one of them with a value."


def build_expected_best_plot(table: SweepTable) -> Plot | NoPlot:
    """The best value that a search of each size finds on average, for each arm, in trials, epochs and seconds."""
    from tracking.statistics.budget_curves import expected_best, list_budgets

    curves = {}
    for unit in UNITS:
        arms = {arm: each for arm, each in collect_trials(table, unit).items() if _has_value(each)}
        budgets = list_budgets(arms)
        if len(budgets) > 1:
            curves[unit] = {arm: expected_best(each, budgets, Goal(table.goal)) for arm, each in arms.items()}
    title = "Expected best after a search of each size"
    if not curves:
        return NoPlot(title, _TOO_FEW)
    figure = _build_figure(table, curves, table.goal_metric)
    figure.update_yaxes(title_text=f"best {title_of(table.goal_metric)}")
    caption = (
        "What a search of that size finds on average, per arm, over 1,000 orders of its trials; band: 80 % of them. "
        "Lines that cross: the better arm depends on the budget."
    )
    return Plot("expected-best", title, caption, figure)


def build_chance_plot(table: SweepTable) -> Plot | NoPlot | None:
    """How likely each arm has the best trial, when all arms are given the same budget; None for one arm."""
    from tracking.statistics.budget_curves import chance_of_best, list_budgets

    if len(table.arms) < 2:
        return None
    title, curves = "Probability of being best at each budget", {}
    for unit in UNITS:
        arms = collect_trials(table, unit)
        budgets = list_budgets(arms)
        if len(budgets) > 1 and len(arms) > 1 and any(map(_has_value, arms.values())):
            curves[unit] = chance_of_best(arms, budgets, Goal(table.goal))
    if not curves:
        return NoPlot(title, _TOO_FEW)
    figure = _build_figure(table, curves, "accuracy")
    figure.update_yaxes(title_text="probability of being best", range=[-0.02, 1.02], tickformat=".0%")
    caption = (
        "How often each arm has the best trial when all get the same budget. Band: 80 % of the values when the trials "
        "are drawn anew; the wider, the more hangs on single trials."
    )
    return Plot("chance-of-best", title, caption, figure)


def collect_trials(table: SweepTable, unit: str) -> dict[str, ArmTrials]:
    """Ended search trials of each arm with at least three, with what each came to and cost in `unit`."""
    import numpy as np

    from tracking.statistics.budget_curves import ArmTrials

    found = {}
    for arm in table.arms:
        ended = [trial for trial in table.select(arm) if trial.state not in (None, TrialState.STOPPED)]
        if len(ended) >= MIN_TRIALS:
            values = [_value(table, trial) for trial in ended]
            found[arm] = ArmTrials(np.array(values), np.array([UNITS[unit](trial) for trial in ended]))
    return found


def _value(table: SweepTable, trial: TrialRow) -> float:
    value = table.value(trial)
    lost = trial.state in (TrialState.DIVERGED, TrialState.FAILED)
    return math.nan if lost or value is None else value


def _has_value(trials: ArmTrials) -> bool:
    return any(map(math.isfinite, trials.values.tolist()))


def _build_figure(table: SweepTable, curves: Mapping[str, Mapping[str, Curve]], metric: str) -> go.Figure:
    """The curves of the first unit, and buttons that change to the others."""
    import plotly.graph_objects as go

    figure, groups = go.Figure(), []
    for index, (unit, by_arm) in enumerate(curves.items()):
        for arm, curve in by_arm.items():
            traces = _build_traces(table, arm, curve, unit)
            for trace in traces:
                trace.visible = index == 0
            figure.add_traces(traces)
            groups += [index] * len(traces)
    style_figure(figure, metric)
    figure.update_xaxes(title_text=_axis_title(next(iter(curves))), rangemode="tozero")
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    if len(curves) > 1:
        changes = [{"xaxis.title.text": _axis_title(unit)} for unit in curves]
        buttons = build_buttons([f"in {unit}" for unit in curves], groups, changes)
        figure.update_layout(updatemenus=[buttons], margin_b=92)
    return figure


def _build_traces(table: SweepTable, arm: str, curve: Curve, unit: str) -> list[go.Scatter]:
    import plotly.graph_objects as go

    color, budgets = arm_color(table.arms, arm), curve.budgets.tolist()
    band = go.Scatter(
        x=[*budgets, *reversed(budgets)],
        y=_round([*curve.high.tolist(), *reversed(curve.low.tolist())]),
        fill="toself",
        fillcolor=fade(color, 0.11),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=arm,
    )
    line = go.Scatter(
        x=budgets,
        y=_round(curve.mid.tolist()),
        mode="lines",
        line={"color": color, "width": 2.5, "dash": arm_dash(table.arms, arm)},
        name=escape(arm),
        legendgroup=arm,
        hovertemplate=f"{escape(arm)}, %{{x:.4~g}} {unit}: %{{y}}<extra></extra>",
    )
    return [band, line]


def _axis_title(unit: str) -> str:
    return {"trials": "trials per arm", "epochs": "epochs per arm", "seconds": "seconds of training per arm"}[unit]


def _round(values: list[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
