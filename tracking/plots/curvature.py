"""Where trainings ended: sharp or flat, in a minimum or in a saddle. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tracking.names import HESSIAN_LARGEST, HESSIAN_SMALLEST
from tracking.plots.style import (
    MUTED,
    NoPlot,
    Plot,
    arm_color,
    arm_symbol,
    build_log_ticks,
    build_swatch,
    describe_trial,
    style_figure,
    trial_symbol,
    value_format,
)
from tracking.plots.thinning import tell_thinned, thin_trials
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

SADDLE_SHARE = 0.05  # of the largest: trainer.loop.curvature calls it a saddle from there


def build_curvature_plot(table: SweepTable) -> Plot | NoPlot:
    """The largest eigenvalue of the loss's Hessian at the end of each trial against the smallest over it."""
    import plotly.graph_objects as go

    title = "Curvature where trials ended"
    measured = [trial for trial in table.trials if _is_measured(trial)]
    if not measured:
        reason = "Not measured; `measure_curvature: true` among the parameters measures it at the end of each trial."
        return NoPlot(title, reason)
    figure = go.Figure()
    for arm in table.arms:
        if trials := thin_trials(table, [trial for trial in measured if trial.arm == arm]):
            figure.add_traces([build_swatch(table.arms, arm), _build_points(table, arm, trials)])
    style_figure(figure, "")
    figure.add_hline(y=-SADDLE_SHARE, line={"color": MUTED, "width": 1, "dash": "dash"})
    ticks = build_log_ticks([trial.summary[HESSIAN_LARGEST] for trial in measured])
    figure.update_xaxes(title_text="largest eigenvalue of the Hessian (log scale)", **ticks)
    lowest = min(-2 * SADDLE_SHARE, *(_saddle(trial) for trial in measured))
    figure.update_yaxes(title_text="smallest eigenvalue / largest", range=[1.08 * lowest, 0.1 * -lowest])
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    caption = (
        "One point per trial, retrainings among them. Further right: sharper. Below the dashed line: a saddle, where "
        "some direction still curves down by more than 5 % of the sharpest one. Filled: ran to its end; open: stopped "
        "early."
    ) + tell_thinned(table)
    return Plot("curvature", title, caption, figure)


def _is_measured(trial: TrialRow) -> bool:
    return trial.summary.get(HESSIAN_LARGEST, 0.0) > 0 and HESSIAN_SMALLEST in trial.summary


def _saddle(trial: TrialRow) -> float:
    return trial.summary[HESSIAN_SMALLEST] / trial.summary[HESSIAN_LARGEST]


def _build_points(table: SweepTable, arm: str, trials: Sequence[TrialRow]) -> go.Scatter:
    import plotly.graph_objects as go

    color, symbol = arm_color(table.arms, arm), arm_symbol(table.arms, arm)
    return go.Scatter(
        x=[trial.summary[HESSIAN_LARGEST] for trial in trials],
        y=[_saddle(trial) for trial in trials],
        mode="markers",
        marker={
            "symbol": [trial_symbol(symbol, trial.state) for trial in trials],
            "size": 9,
            "color": color,
            "line": {"width": 2, "color": color},
        },
        text=[describe_trial(table, trial) for trial in trials],
        customdata=[table.value(trial) for trial in trials],
        hovertemplate="%{text}<br>largest %{x:.3~g}, smallest %{y:.1%} of it<br>best "
        + value_format(table.goal_metric).replace("%{y", "%{customdata")
        + "<extra></extra>",
        name=escape(arm),
        legendgroup=arm,
        showlegend=False,
    )
