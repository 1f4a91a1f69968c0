"""The Pareto front as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.pareto import FrontTrial, find_front, format_metric, list_finished, list_names, title_of_metric
from tracking.plots.style import Plot, arm_color, arm_symbol, describe_trial, fade, style_figure
from tracking.table import SweepTable

if TYPE_CHECKING:
    import plotly.graph_objects as go


def build_front_plot(table: SweepTable) -> Plot | None:
    """The first metric against the second, the front joined by a line; None without several metrics."""
    import plotly.graph_objects as go

    finished = list_finished(table)
    if len(table.metrics) < 2 or not finished:
        return None
    front = find_front(table)
    ids = {each.trial.trial_id for each in front}
    figure = go.Figure()
    if len(table.metrics) == 2:
        line = sorted(front, key=lambda each: each.values[1])
        figure.add_trace(
            go.Scatter(
                x=[each.values[1] for each in line],
                y=[each.values[0] for each in line],
                mode="lines",
                line={"color": "#5b6675", "width": 1.5, "dash": "dot"},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    for arm in table.arms:
        figure.add_trace(_build_points(table, arm, [each for each in finished if each.trial.arm == arm], ids))
    (first, _), (second, _) = table.metrics[:2]
    style_figure(figure, first)
    figure.update_yaxes(title_text=title_of_metric(first))
    figure.update_xaxes(title_text=title_of_metric(second))
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    caption = f"Trials that ran to their end. Filled: the {len(front)} that no other beats in {list_names(table)}."
    return Plot("front", "Pareto front", caption, figure)


def _build_points(table: SweepTable, arm: str, trials: Sequence[FrontTrial], ids: set[str]) -> go.Scatter:
    import plotly.graph_objects as go

    color, symbol = arm_color(table.arms, arm), arm_symbol(table.arms, arm)
    return go.Scatter(
        x=[each.values[1] for each in trials],
        y=[each.values[0] for each in trials],
        mode="markers",
        marker={
            "symbol": [symbol if each.trial.trial_id in ids else f"{symbol}-open" for each in trials],
            "size": 10,
            "color": [color if each.trial.trial_id in ids else fade(color, 0.6) for each in trials],
        },
        text=[
            describe_trial(table, each.trial)
            + "".join(
                f"<br>{title_of_metric(name)}: {format_metric(name, value)}"
                for (name, _), value in zip(table.metrics, each.values, strict=True)
            )
            for each in trials
        ],
        hovertemplate="%{text}<extra></extra>",
        name=escape(arm),
        legendgroup=arm,
    )
