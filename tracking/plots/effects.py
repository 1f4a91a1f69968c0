"""What one searched parameter does to the best value of a trial. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from statistics import median
from typing import TYPE_CHECKING

from tracking.analysis.labels import format_number, is_fraction, title_of
from tracking.analysis.settings import MAX_LEVELS, is_logarithmic, is_number_line, level_key, to_float
from tracking.names import TrialState
from tracking.plots.bands import add_bands, find_bands, tell_bands
from tracking.plots.style import (
    Plot,
    arm_color,
    arm_dash,
    arm_symbol,
    build_log_ticks,
    build_swatch,
    describe_trial,
    fade,
    style_figure,
    trial_symbol,
    value_format,
)
from tracking.plots.thinning import tell_thinned, thin_trials
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go


def build_effect(table: SweepTable, name: str) -> Plot | None:
    """The best value of every search trial against one searched parameter; None when it took fewer than two values."""
    trials = [trial for trial in table.select() if trial.parameters.get(name) is not None and _reached(table, trial)]
    values = {trial.parameters[name] for trial in trials}
    if len(values) < 2:
        return None
    if is_number_line(name, values):
        return _build_number_line(table, name, trials)
    return _build_strips(table, name, trials) if len(values) <= MAX_LEVELS else None


def _reached(table: SweepTable, trial: TrialRow) -> bool:
    """Whether a trial says something about its settings: a failed one does not."""
    return trial.state is TrialState.DIVERGED or (
        trial.state is not TrialState.FAILED and table.value(trial) is not None
    )


def _build_number_line(table: SweepTable, name: str, trials: Sequence[TrialRow]) -> Plot:
    import plotly.graph_objects as go

    figure, remark = go.Figure(), ""
    numbers = {trial.trial_id: to_float(trial.parameters[name]) for trial in trials}
    for arm in table.arms:
        members = sorted((trial for trial in trials if trial.arm == arm), key=lambda trial: numbers[trial.trial_id])
        figure.add_traces(_build_points(table, arm, members, [numbers[trial.trial_id] for trial in members], name))
        by_value: dict[float, list[float]] = {}
        for trial in members:
            value = table.value(trial)
            if trial.state is not TrialState.DIVERGED and value is not None:
                by_value.setdefault(numbers[trial.trial_id], []).append(value)
        if len(by_value) == sum(map(len, by_value.values())):
            continue  # no value was tried twice: a line would join luck with luck
        remark = "The line joins each arm's best values."
        figure.add_trace(
            go.Scatter(
                x=list(by_value),
                y=[Goal(table.goal).best(values) for values in by_value.values()],
                mode="lines",
                line={"color": fade(arm_color(table.arms, arm), 0.4), "width": 1.5, "dash": arm_dash(table.arms, arm)},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=arm,
            )
        )
    style_figure(figure, table.goal_metric)
    is_log = is_logarithmic(name, numbers.values())
    title = title_of(name) + (" (log scale)" if is_log else "")
    figure.update_xaxes(title_text=title, **(build_log_ticks(list(numbers.values())) if is_log else {}))
    if is_fraction(table.goal_metric) and (bands := find_bands(table, trials, numbers)):
        add_bands(figure, table, bands)
        remark = f"{remark} {tell_bands(bands)}".strip()
    return _finish_effect(table, name, figure, remark)


def _build_strips(table: SweepTable, name: str, trials: Sequence[TrialRow]) -> Plot:
    """Categories side by side, the arms next to each other in each; a bar at the median of each little cloud."""
    import plotly.graph_objects as go

    levels = sorted({trial.parameters[name] for trial in trials}, key=level_key)
    figure = go.Figure()
    arms = [arm for arm in table.arms if any(trial.arm == arm for trial in trials)]
    slot = 0.8 / len(arms)
    for index, arm in enumerate(arms):
        members = [trial for trial in trials if trial.arm == arm]
        centers = [levels.index(trial.parameters[name]) - 0.4 + slot * (index + 0.5) for trial in members]
        spread = [center + slot * 0.22 * _jitter(trial.number) for center, trial in zip(centers, members, strict=True)]
        figure.add_traces(_build_points(table, arm, members, spread, name))
        for center in sorted(set(centers)):
            values = [
                value
                for trial, its_center in zip(members, centers, strict=True)
                if its_center == center
                and trial.state is not TrialState.DIVERGED
                and (value := table.value(trial)) is not None
            ]
            if values:
                figure.add_trace(
                    go.Scatter(
                        x=[center - 0.4 * slot, center + 0.4 * slot],
                        y=[median(values)] * 2,
                        mode="lines",
                        line={"color": arm_color(table.arms, arm), "width": 3},
                        hovertemplate=f"{escape(arm)}: median of {len(values)}<extra></extra>",
                        showlegend=False,
                        legendgroup=arm,
                    )
                )
    style_figure(figure, table.goal_metric)
    figure.update_xaxes(
        title_text=title_of(name),
        tickvals=list(range(len(levels))),
        ticktext=[escape(format_number(level)) for level in levels],
        range=[-0.55, len(levels) - 0.45],
        ticks="",
    )
    for boundary in range(1, len(levels)):
        figure.add_vline(x=boundary - 0.5, line={"color": "#e4e8ed", "width": 1})
    return _finish_effect(table, name, figure, "Bar: median of the trials that did not diverge.")


def _build_points(
    table: SweepTable, arm: str, trials: Sequence[TrialRow], x: Sequence[float], name: str
) -> list[go.Scatter]:
    """One trace with the arm's trials, and one that stands for it in the legend, always filled."""
    import plotly.graph_objects as go

    color, symbol = arm_color(table.arms, arm), arm_symbol(table.arms, arm)
    bottom, places = _worst(table), {trial.trial_id: place for trial, place in zip(trials, x, strict=True)}
    trials = thin_trials(table, trials)
    points = go.Scatter(
        x=[places[trial.trial_id] for trial in trials],
        y=[_or(table.value(trial), bottom) for trial in trials],
        mode="markers",
        marker={
            "symbol": [trial_symbol(symbol, trial.state) for trial in trials],
            "size": 10,
            "color": color,
            "line": {"width": 2, "color": color},
        },
        text=[describe_trial(table, trial) for trial in trials],
        customdata=[format_number(trial.parameters[name]) for trial in trials],
        hovertemplate=f"%{{text}}<br>{title_of(name)}: %{{customdata}}<br>best {value_format(table.goal_metric)}"
        "<extra></extra>",
        name=escape(arm),
        legendgroup=arm,
        showlegend=False,
    )
    return [build_swatch(table.arms, arm), points]


def _finish_effect(table: SweepTable, name: str, figure: go.Figure, remark: str) -> Plot:
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    figure.update_layout(yaxis_title_text=f"best {title_of(table.goal_metric)}")
    num_diverged = sum(trial.state is TrialState.DIVERGED for trial in table.select())
    caption = "One point per trial. Filled: ran to its end; open: stopped early, at the best value it had reached"
    caption += f"; ×: diverged ({num_diverged} of {len(table.select())})." if num_diverged else "."
    noun = title_of(name).partition(" (")[0]
    title = f"Sensitivity to the {noun}" if name == "lr" else f"Effect of the {noun}"
    return Plot(f"effect-{name}", title, f"{caption} {remark}".strip() + tell_thinned(table), figure)


def _worst(table: SweepTable) -> float:
    """Where a trial stands that diverged before it had any value."""
    values = [value for trial in table.select() if (value := table.value(trial)) is not None]
    if not values:
        return 0.0
    return Goal(table.goal).worst(values)


def _jitter(number: int) -> float:
    """A fixed number in -1..1, spread evenly over successive trials (golden ratio)."""
    return 2.0 * math.modf(number * 0.6180339887)[0] - 1.0


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
