"""What each arm cost, what early stopping saved, and what was lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from tracking.analysis.costs import cost_of
from tracking.analysis.labels import format_duration
from tracking.names import STAGE_SEARCH, TrialState
from tracking.plots.style import INK, NoPlot, Plot, add_rows, build_buttons, fade, style_figure
from tracking.statistics.audit import build_ledger
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

HALF_HEIGHT = 0.28  # of a bar, in rows
_ROOM = 1.02  # beyond the longest bar, so that its end is seen
_TIMES = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
# What became of it -> how it is filled, in no arm's colour; what was saved has an outline only.
_FILLS = {
    "ran to the end": "#39434f",
    "stopped early": "#8c97a5",
    "diverged or failed": "#b42318",
    "not ended": "#f0c36d",
    "retrained": "#cfd6de",
    "saved by early stopping": "",
}
Costs = Mapping[str, float]
"""What became of it -> its cost."""


def build_ledger_plot(table: SweepTable) -> Plot | NoPlot:
    """The time of each arm by what became of it: a row for each arm, and a button for epochs."""
    import plotly.graph_objects as go

    title = "Cost ledger"
    seconds = {arm: _split(table, arm, in_epochs=False) for arm in table.arms if table.select(arm, None)}
    epochs = {arm: _split(table, arm, in_epochs=True) for arm in seconds}
    if not any(sum(costs.values()) for costs in epochs.values()):
        return NoPlot(title, "No trial has ended an epoch.")
    longest = max(sum(costs.values()) for costs in seconds.values())
    factor, unit = next((each for each in _TIMES if longest >= 2 * each[0]), _TIMES[-1])
    times = {arm: {name: cost / factor for name, cost in costs.items()} for arm, costs in seconds.items()}
    figure, groups = go.Figure(), []
    bars = (_build_bars(times, seconds, in_epochs=False), _build_bars(epochs, epochs, in_epochs=True))
    for index, traces in enumerate(bars):
        for trace in traces:
            trace.visible = index == 0
        figure.add_traces(traces)
        groups += [index] * len(traces)
    style_figure(figure, "", height=150 + 40 * len(seconds))
    add_rows(figure, list(seconds))
    titles = [f"{unit} of training and validation", "epochs"]
    ends = [[0, _ROOM * max(sum(each.values()) for each in costs.values())] for costs in (times, epochs)]
    figure.update_xaxes(title_text=titles[0], range=ends[0], showgrid=True)
    changes = [{"xaxis.title.text": each, "xaxis.range": end} for each, end in zip(titles, ends, strict=True)]
    buttons = build_buttons(["in time", "in epochs"], groups, changes)
    buttons["y"] = -70 / (40 * len(seconds))
    figure.update_layout(updatemenus=[buttons], margin_b=98)
    caption = "Where the time of each arm went. Dashed: what its early stopped trials would have taken to their end."
    return Plot("ledger", title, caption, figure, wide=True)


def _split(table: SweepTable, arm: str, *, in_epochs: bool) -> Costs:
    """The arm's cost by what became of it, in the order of `_FILLS`."""
    costs = dict.fromkeys(_FILLS, 0.0)
    for trial in table.select(arm, None):
        costs[_classify(trial)] += trial.num_epochs if in_epochs else trial.seconds
    ledger = build_ledger([cost_of(trial) for trial in table.select(arm)])
    costs["saved by early stopping"] = float(ledger.saved_epochs) if in_epochs else ledger.saved_seconds
    return costs


def _classify(trial: TrialRow) -> str:
    if trial.stage != STAGE_SEARCH:
        return "retrained"
    if trial.state in (TrialState.DIVERGED, TrialState.FAILED):
        return "diverged or failed"
    if trial.state in (None, TrialState.STOPPED):
        return "not ended"
    return "stopped early" if trial.state is TrialState.EARLY_STOPPED else "ran to the end"


def _build_bars(costs: Mapping[str, Costs], told: Mapping[str, Costs], *, in_epochs: bool) -> list[go.Scatter]:
    """A rectangle for each arm and each thing that became of it; the first of each stands in the legend."""
    traces, named = [], set()
    for row, (arm, by_fate) in enumerate(costs.items()):
        start = 0.0
        for fate, cost in by_fate.items():
            if not cost:
                continue
            amount = f"{told[arm][fate]:.0f} epochs" if in_epochs else format_duration(told[arm][fate])
            bar = _build_bar(start, start + cost, row, fate, f"{escape(arm)}: {amount} {fate}")
            bar.showlegend = fate not in named
            named.add(fate)
            traces.append(bar)
            start += cost
    return sorted(traces, key=lambda trace: list(_FILLS).index(trace.name))


def _build_bar(start: float, end: float, row: int, fate: str, text: str) -> go.Scatter:
    import plotly.graph_objects as go

    color = _FILLS[fate]
    corners: Sequence[float] = (row - HALF_HEIGHT, row - HALF_HEIGHT, row + HALF_HEIGHT, row + HALF_HEIGHT)
    return go.Scatter(
        x=[start, end, end, start, start],
        y=[*corners, corners[0]],
        fill="toself",
        fillcolor=color or fade(INK, 0.0),
        line={"color": color or INK, "width": 1, "dash": "solid" if color else "dot"},
        mode="lines",
        hoveron="fills",
        hoverinfo="text",
        text=text,
        name=fate,
        legendgroup=fate,
    )
