"""Whether networks still learn: gradients by epoch and layer, steps, and dead units. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from tracking.names import HEALTH_PREFIX
from tracking.plots.style import (
    MUTED,
    NoPlot,
    Plot,
    arm_color,
    arm_dash,
    arm_symbol,
    build_buttons,
    build_log_ticks,
    describe_trial,
    style_figure,
)
from tracking.table import Points, SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

Item = TypeVar("Item")

LAYER_PREFIX = f"{HEALTH_PREFIX}gradient_norm."
MAX_CELLS = 60  # epochs, and layers, that a panel shows
ROW_PIXELS = 15
PANEL_PIXELS = 110  # the least height of a panel
_MISSING = "No arm’s best trial has recorded an epoch of it."
# Button, metric, title of the axis, whether it is drawn on a logarithm.
_QUANTITIES = (
    ("gradient", "gradient_norm", "norm of the gradient (log scale)", True),
    ("first / last", "first_to_last_gradient", "first layer’s gradient / last layer’s (log scale)", True),
    ("step", "update_to_weight", "norm of step / of weights (log scale)", True),
    ("dead units", "dead_units", "ReLU units that no image turns on", False),
)


def build_health_plot(table: SweepTable) -> Plot | NoPlot:
    """Gradient, step and dead units of each arm's best trial by epoch, one of them at a time."""
    import plotly.graph_objects as go

    title = "Do the networks still learn?"
    figure, groups = go.Figure(), []
    shown: list[str] = []
    changes = []
    for quantity in _QUANTITIES:
        traces = [
            _build_line(table, trial, points, is_log=quantity[3])
            for trial in _list_best(table)
            if (points := table.health[trial.trial_id].get(HEALTH_PREFIX + quantity[1]))
        ]
        for trace in traces:
            trace.visible = not shown
        figure.add_traces(traces)
        groups += [len(shown)] * len(traces)
        if traces:
            shown.append(quantity[0])
            changes.append(_describe_axis(quantity[2], [y for trace in traces for y in trace.y], is_log=quantity[3]))
    if not shown:
        return NoPlot(title, _MISSING)
    style_figure(figure, "")
    figure.update_xaxes(title_text="epoch")
    figure.update_layout({key.replace(".", "_"): value for key, value in changes[0].items()})
    figure.update_layout(updatemenus=[build_buttons(shown, groups, changes)], margin_b=92)
    if len(table.arms) == 1:
        figure.update_layout(showlegend=False)
    caption = (
        "Each arm’s best trial, at the last step of each epoch. A gradient above 1,000 explodes; a first layer’s below "
        "1/10,000 of the last’s has vanished; a step is often about a thousandth of the weights; dead units learn no "
        "more."
    )
    return Plot("health", title, caption, figure)


def _list_best(table: SweepTable) -> list[TrialRow]:
    """The best trial of each arm of which health is known."""
    best = [ranking[0] for arm in table.arms if (ranking := table.ranking(arm))]
    return [trial for trial in best if table.health.get(trial.trial_id)]


def _describe_axis(title: str, values: Sequence[float | None], *, is_log: bool) -> dict[str, Any]:
    """The y axis of a quantity, as changes of a figure's layout."""
    axis: dict[str, Any] = {"type": "linear", "autorange": True, "tickvals": None, "ticktext": None}
    positive = [value for value in values if value is not None and value > 0]
    if is_log:
        axis |= {"autorange": False, **build_log_ticks(positive)} if positive else {"type": "log"}
    axis |= {"title.text": title, "tickformat": "" if is_log else ".1%"}
    return {f"yaxis.{key}": value for key, value in axis.items()}


def _build_line(table: SweepTable, trial: TrialRow, points: Points, *, is_log: bool) -> go.Scatter:
    import plotly.graph_objects as go

    color = arm_color(table.arms, trial.arm)
    return go.Scatter(
        x=[epoch for epoch, _ in points],
        y=[value if value > 0 or not is_log else None for _, value in points],
        mode="lines+markers",
        line={"color": color, "width": 2.5, "dash": arm_dash(table.arms, trial.arm)},
        marker={"color": color, "symbol": arm_symbol(table.arms, trial.arm), "size": 6},
        name=escape(trial.arm),
        legendgroup=trial.arm,
        text=[describe_trial(table, trial)] * len(points),
        hovertemplate="%{text}<br>epoch %{x}: %{y:.3~g}<extra></extra>",
    )


def build_layers_plot(table: SweepTable) -> Plot | NoPlot:
    """The norm of each layer's gradient in each epoch of each arm's best trial, one panel per arm."""
    from plotly.subplots import make_subplots

    title = "Gradients by layer and epoch"
    best = [(trial.arm, _find_layers(table.health[trial.trial_id])) for trial in _list_best(table)]
    panels = {arm: layers for arm, layers in best if layers}
    if not panels:
        return NoPlot(title, _MISSING)
    num_columns = 2 if len(panels) > 1 else 1
    num_rows = -(-len(panels) // num_columns)
    height = max(PANEL_PIXELS, ROW_PIXELS * max(map(len, panels.values())))
    figure = make_subplots(
        num_rows,
        num_columns,
        horizontal_spacing=0.13,
        vertical_spacing=70 / (num_rows * (height + 70)) if num_rows > 1 else 0.0,
        subplot_titles=[f"<b>{escape(arm)}</b>" for arm in panels],
    )
    for index, layers in enumerate(panels.values()):
        place = {"row": index // num_columns + 1, "col": index % num_columns + 1}
        figure.add_trace(_build_map(layers), **place)
        figure.update_yaxes(title_text="layer" if place["col"] == 1 else "", **place)
    style_figure(figure, "", height=80 + num_rows * (height + 60))
    figure.update_xaxes(title_text="epoch", title_standoff=2)
    figure.update_yaxes(autorange="reversed", showgrid=False, ticks="", tickfont_size=11)
    figure.update_annotations(font_size=14)
    figure.update_layout(coloraxis=_build_colors(panels.values()), margin_t=36, showlegend=False)
    caption = (
        "The norm of each layer’s gradient at the last step of an epoch, in each arm’s best trial; the first layer is "
        "on top. Where it falls towards the top, the gradient vanishes on its way back."
    )
    return Plot("layers", title, caption, figure, wide=True, min_width=320 * num_columns)


def _find_layers(health: Mapping[str, Points]) -> dict[str, Points]:
    """Layer -> the norm of its gradient by epoch; in the order of their names, numbers as numbers."""
    found = {key.removeprefix(LAYER_PREFIX): points for key, points in health.items() if key.startswith(LAYER_PREFIX)}
    return {name: found[name] for name in _thin(sorted(found, key=_layer_key))}


def _layer_key(name: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"[^0-9A-Za-z_]", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _thin(items: Sequence[Item]) -> list[Item]:
    """At most `MAX_CELLS` of them, evenly spread."""
    if len(items) <= MAX_CELLS:
        return list(items)
    return [items[round(index * (len(items) - 1) / (MAX_CELLS - 1))] for index in range(MAX_CELLS)]


def _build_map(layers: Mapping[str, Points]) -> go.Heatmap:
    import plotly.graph_objects as go

    epochs = _thin(sorted({epoch for points in layers.values() for epoch, _ in points}))
    norms = [dict(points) for points in layers.values()]
    logs = [[_log(row.get(epoch)) for epoch in epochs] for row in norms]
    return go.Heatmap(
        x=epochs,
        y=[escape(name) for name in layers],
        z=logs,
        coloraxis="coloraxis",
        customdata=[[row.get(epoch) for epoch in epochs] for row in norms],
        hovertemplate="%{y}, epoch %{x}: %{customdata:.3~g}<extra></extra>",
    )


def _log(norm: float | None) -> float | None:
    return round(math.log10(norm), 3) if norm and norm > 0 else None


def _build_colors(panels: Iterable[Mapping[str, Points]]) -> dict[str, Any]:
    """One colour scale for all panels, with its ticks at powers of ten."""
    logs = [
        log for layers in panels for points in layers.values() for _, norm in points if (log := _log(norm)) is not None
    ]
    low, high = min(logs, default=-1.0), max(logs, default=0.0)
    ticks: list[float] = [*range(math.ceil(low), math.floor(high) + 1)] or [low, high]
    step = -(-len(ticks) // 6)
    return {
        "colorscale": "Viridis",
        "cmin": low,
        "cmax": high if high > low else low + 1,
        "colorbar": {
            "title": {"text": "norm", "font": {"size": 13, "color": MUTED}},
            "tickvals": ticks[::step],
            "ticktext": [f"{10**tick:.2g}" for tick in ticks[::step]],
            "outlinewidth": 0,
            "thickness": 14,
        },
    }
