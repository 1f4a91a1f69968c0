"""Which settings decide whether a trial of an arm is among its best. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape, unescape
from typing import TYPE_CHECKING

from tracking.analysis.importance import ArmImportance, measure_importances
from tracking.analysis.labels import title_of
from tracking.plots.style import GRID, NoPlot, Plot, add_rows, arm_color, arm_symbol, build_swatch, fade, style_figure
from tracking.table import SweepTable

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_P_VALUE = 0.05  # of a filled symbol


def build_importance_plot(table: SweepTable) -> Plot | NoPlot | None:
    """The share of each setting in what decides, a row for each; None where no two settings were searched."""
    import plotly.graph_objects as go

    from tracking.statistics.importance import MIN_TRIALS

    if len(set(table.searched) - set(table.compared)) < 2:
        return None
    title, arms = "Which settings decide", measure_importances(table)
    if not arms:
        return NoPlot(title, f"It needs {MIN_TRIALS} ended trials of an arm with a value.")
    names = _order_settings(arms)
    figure = go.Figure()
    for index, (arm, importance) in enumerate(arms.items()):
        offset = 0.7 * ((index + 0.5) / len(arms) - 0.5)
        figure.add_traces(_build_shares(table, arm, importance, names, offset))
    style_figure(figure, "", height=120 + (14 * len(arms) + 16) * len(names))
    add_rows(figure, [unescape(title_of(name)) for name in names])
    for boundary in range(1, len(names)):
        figure.add_hline(y=boundary - 0.5, line={"color": GRID, "width": 1})
    figure.update_xaxes(title_text="share of what decides", range=[-0.03, 1.03], tickformat=".0%", showgrid=True)
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    caption = (
        f"How much each setting decides whether a trial is in the best quarter of its arm, {_tell_epochs(arms)}; an "
        "arm’s shares add up to 1 (PED-ANOVA). Open: no more than chance gives (p above 0.05), whatever the share."
    )
    if lacking := [arm for arm in table.arms if arm not in arms]:
        caption += f" Fewer than {MIN_TRIALS} trials with a value: {', '.join(lacking)}."
    return Plot("importance", title, caption, figure)


def _order_settings(arms: dict[str, ArmImportance]) -> list[str]:
    """The settings, those first that decide most over the arms."""
    shares: dict[str, list[float]] = {}
    for importance in arms.values():
        for each in importance.settings:
            shares.setdefault(each.parameter, []).append(each.share)
    return sorted(shares, key=lambda name: -sum(shares[name]) / len(shares[name]))


def _tell_epochs(arms: dict[str, ArmImportance]) -> str:
    epochs = sorted({importance.epoch for importance in arms.values()})
    which = " or ".join(map(str, epochs))
    return f"at epoch {which}, which all its trials reached"


def _build_shares(
    table: SweepTable, arm: str, importance: ArmImportance, names: Sequence[str], offset: float
) -> tuple[go.Scatter, go.Scatter, go.Scatter]:
    """A line from 0 to each share, and symbols at the shares: filled where chance alone does not give them."""
    import plotly.graph_objects as go

    color, symbol = arm_color(table.arms, arm), arm_symbol(table.arms, arm)
    rows = [names.index(each.parameter) + offset for each in importance.settings]
    lines = go.Scatter(
        x=[x for each in importance.settings for x in (0.0, each.share, None)],
        y=[y for row in rows for y in (row, row, None)],
        mode="lines",
        line={"color": fade(color, 0.5), "width": 2},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=arm,
    )
    symbols = [symbol if each.p_value <= MAX_P_VALUE else f"{symbol}-open" for each in importance.settings]
    points = go.Scatter(
        x=[each.share for each in importance.settings],
        y=rows,
        mode="markers",
        marker={"symbol": symbols, "size": 9, "color": color, "line": {"width": 2, "color": color}},
        text=[f"{title_of(each.parameter)}, p = {each.p_value:.2f}" for each in importance.settings],
        hovertemplate=f"{escape(arm)}: %{{x:.0%}} by %{{text}}<extra></extra>",
        name=escape(arm),
        legendgroup=arm,
        showlegend=False,
    )
    return lines, points, build_swatch(table.arms, arm)
