"""What every searched choice does when the rest is tuned: a row for each value. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING

from tracking.analysis.choices import Choice, measure_choices
from tracking.analysis.labels import format_number, is_fraction, title_of
from tracking.plots.style import GRID, INK, MUTED, NoPlot, Plot, add_rows, style_figure
from tracking.table import SweepTable

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from tracking.statistics.effects import LevelEffect

TITLE = "What each choice does when the rest is tuned"


def build_choices_plot(table: SweepTable) -> Plot | NoPlot | None:
    """How far each value of a choice lies above the mean of its values; None where no choice was searched."""
    import plotly.graph_objects as go

    from tracking.statistics.effects import MIN_TRIALS

    choices = measure_choices(table)
    if not choices:
        return None
    shown = [choice for choice in choices if choice.effect is not None]
    if not shown:
        reason = f"It needs {MIN_TRIALS} ended trials of two values, the same values in every arm."
        return NoPlot(TITLE, reason)
    rows = [(choice, level) for choice in shown if choice.effect for level in choice.effect.levels]
    figure = go.Figure(_build_points(table, [level for _, level in rows]))
    style_figure(figure, "", height=max(260, 120 + 34 * len(rows)))
    add_rows(figure, [f"{_name(choice)} {format_number(level.level)}" for choice, level in rows])
    for index, ((above, _), (below, _)) in enumerate(pairwise(rows)):
        if above is not below:
            figure.add_hline(y=index + 0.5, line={"color": GRID, "width": 1})
    figure.add_vline(x=0, line={"color": MUTED, "width": 1})
    unit = "points " if is_fraction(table.goal_metric) else ""
    figure.update_xaxes(title_text=f"{unit}above the mean", showgrid=True)
    figure.update_layout(showlegend=False, margin_b=56)
    return Plot("choices", TITLE, _tell(table, shown, choices), figure)


def _name(choice: Choice) -> str:
    return unescape(title_of(choice.name)).partition(" (")[0]


def _build_points(table: SweepTable, levels: Sequence[LevelEffect]) -> go.Scatter:
    import plotly.graph_objects as go

    factor = 100 if is_fraction(table.goal_metric) else 1
    halves = [0.0 if each.interval is None else factor * (each.interval.high - each.effect) for each in levels]
    return go.Scatter(
        x=[factor * each.effect for each in levels],
        y=list(range(len(levels))),
        mode="markers",
        marker={
            "symbol": ["diamond" if each.is_clear else "diamond-open" for each in levels],
            "size": 11,
            "color": INK,
            "line": {"width": 2, "color": INK},
        },
        error_x={"type": "data", "array": halves, "color": INK, "thickness": 2, "width": 5},
        customdata=[each.num_trials for each in levels],
        hovertemplate="%{x:+.2f}, of %{customdata} trials<extra></extra>",
    )


def _tell(table: SweepTable, shown: Sequence[Choice], choices: Sequence[Choice]) -> str:
    from tracking.statistics.effects import MIN_TRIALS

    draws = sorted({choice.effect.num_draws for choice in shown if choice.effect})
    each = "each by itself" if draws == [1] else f"the best of {' or '.join(map(str, draws))}"
    right = "Right" if table.goal == "maximize" else "Left"
    metric = unescape(title_of(table.goal_metric))
    caption = (
        f"{right} of 0 is better: the {metric} of the search trials with each value ({each}, on average), over the "
        f"arms, beside the mean of all values. After epoch {shown[0].epoch}, which all trials reached. Bar: 95 % "
        "interval, not corrected for the number of values; open: 0 lies in it."
    )
    if lacking := [_name(choice) for choice in choices if choice not in shown]:
        caption += f" Fewer than {MIN_TRIALS} trials of two values: {', '.join(lacking)}."
    if left_out := [
        arm for arm in table.arms if any(arm not in choice.effect.arms for choice in shown if choice.effect)
    ]:
        caption += f" Too few trials in: {', '.join(left_out)}."
    return caption
