"""How exactly a setting has to be tuned for each arm: bars below its effect. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.labels import format_number
from tracking.names import TrialState
from tracking.plots.style import AXIS, arm_color
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tracking.statistics.sensitivity import GoodBand

ROW_PIXELS = 15
GAP_PIXELS = 14  # between the bars and the points above them
MARGIN_PIXELS = 64  # above and below the axes, as `style_figure` has them


def find_bands(table: SweepTable, trials: Sequence[TrialRow], numbers: Mapping[str, float]) -> dict[str, GoodBand]:
    """Arm -> where a setting may lie for a trial to come within a point of accuracy of the arm's best.

    Args:
        table: The sweep.
        trials: Those that say something about the setting.
        numbers: Trial -> its value of the setting.
    """
    import numpy as np

    from tracking.statistics.sensitivity import find_good_band

    bands = {}
    for arm in table.arms:
        members = [trial for trial in trials if trial.arm == arm]
        settings = np.array([numbers[trial.trial_id] for trial in members])
        scores = np.array([_score(table, trial) for trial in members])
        if (band := find_good_band(settings, scores, goal=Goal(table.goal))) is not None:
            bands[arm] = band
    return bands


def _score(table: SweepTable, trial: TrialRow) -> float:
    value = table.value(trial)
    return math.nan if value is None or trial.state is TrialState.DIVERGED else value


def add_bands(figure: go.Figure, table: SweepTable, bands: Mapping[str, GoodBand]) -> None:
    """Draws a bar for each arm between the x axis and the points; makes the figure as much higher."""
    for row, (arm, band) in enumerate(bands.items()):
        figure.add_trace(_build_bar(table, arm, band, row))
    bars, points = ROW_PIXELS * len(bands), figure.layout.height - MARGIN_PIXELS
    whole = bars + GAP_PIXELS + points
    figure.update_layout(
        height=figure.layout.height + bars + GAP_PIXELS,
        xaxis_anchor="y2",
        yaxis_domain=[(bars + GAP_PIXELS) / whole, 1.0],
        yaxis2={
            "domain": [0.0, bars / whole],
            "range": [len(bands) - 0.4, -0.6],
            "linecolor": AXIS,
            "showticklabels": False,
            "ticks": "",
            "showgrid": False,
            "zeroline": False,
        },
    )


def _build_bar(table: SweepTable, arm: str, band: GoodBand, row: int) -> go.Scatter:
    import plotly.graph_objects as go

    color = arm_color(table.arms, arm)
    ends = ["triangle-left" if band.is_open[0] else "circle", "triangle-right" if band.is_open[1] else "circle"]
    return go.Scatter(
        x=[band.low, band.high],
        y=[row, row],
        yaxis="y2",
        mode="lines+markers",
        line={"color": color, "width": 4},
        marker={"color": color, "size": 9, "symbol": ends},
        text=[f"{escape(arm)}: {tell_band(band)}, {_count(band.num_trials)}"] * 2,
        hovertemplate="%{text}<extra></extra>",
        name=escape(arm),
        legendgroup=arm,
        showlegend=False,
    )


def tell_band(band: GoodBand) -> str:
    """`0.01 to 0.3`."""
    return f"{format_number(float(f'{band.low:.2g}'))} to {format_number(float(f'{band.high:.2g}'))}"


def _count(number: int) -> str:
    return f"{number} trial" if number == 1 else f"{number} trials"


def tell_bands(bands: Mapping[str, GoodBand]) -> str:
    """How to read the bars, and how wide they are."""
    widths = ", ".join(f"{arm} {_tell_width(band)}" for arm, band in bands.items())
    return (
        "Bars: where every trial came within 1 point of its arm’s best (arrow: no trial lies beyond), which early "
        f"stopping makes look narrower. Width: {widths}."
    )


def _tell_width(band: GoodBand) -> str:
    if band.num_trials == 1:
        return "one trial"
    return f"× {10**band.decades:.2g}" if band.decades is not None else tell_band(band)
