"""How every plot looks: one colour and one symbol per arm, one axis style. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from tracking.analysis.labels import format_parameters, is_fraction, title_of
from tracking.analysis.leaderboard import searched_parameters
from tracking.names import TrialState
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe and Ito's palette, told apart with any kind of colour vision; yellow is too pale for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#666666")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon", "star", "triangle-down")
DASHES = ("solid", "dash", "dot", "dashdot")  # when there are more arms than colours

INK, MUTED, GRID, AXIS = "#1c2330", "#5b6675", "#e4e8ed", "#9aa4b1"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
HEIGHT = 400


@dataclass(frozen=True)
class Plot:
    """One figure with what a reader needs to read it.

    Attributes:
        key: Its name in file names and in the page.
        title: HTML: what comes from the sweep is escaped.
        caption: Text.
        figure: The plot.
        wide: Whether it takes the whole width of the page.
        min_width: Pixels that it needs; on a narrower page it is scrolled.
    """

    key: str
    title: str
    caption: str
    figure: go.Figure
    wide: bool = False
    min_width: int = 0


@dataclass(frozen=True)
class NoPlot:
    """A plot that a reader may look for and that this sweep has no values for.

    Attributes:
        title: Of the plot.
        reason: What is missing, and where it helps, how to get it.
    """

    title: str
    reason: str


def arm_color(arms: Sequence[str], arm: str) -> str:
    """The arm's colour, the same in every plot and table."""
    return COLORS[arms.index(arm) % len(COLORS)]


def arm_symbol(arms: Sequence[str], arm: str) -> str:
    """The arm's symbol."""
    return SYMBOLS[arms.index(arm) % len(SYMBOLS)]


def arm_dash(arms: Sequence[str], arm: str) -> str:
    """The arm's line: solid for the first eight, then dashed."""
    return DASHES[arms.index(arm) // len(COLORS) % len(DASHES)]


def build_swatch(arms: Sequence[str], arm: str) -> go.Scatter:
    """What stands for an arm in a legend where the symbols of its trials differ: a trace without points."""
    import plotly.graph_objects as go

    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": arm_symbol(arms, arm), "size": 10, "color": arm_color(arms, arm)},
        name=escape(arm),
        legendgroup=arm,
    )


def trial_symbol(symbol: str, state: TrialState | None) -> str:
    """Filled for a trial that ran to its end, open for one that was stopped, a cross for one that diverged."""
    if state is TrialState.COMPLETED:
        return symbol
    return "x-thin" if state in (TrialState.DIVERGED, TrialState.FAILED) else f"{symbol}-open"


def fade(color: str, opacity: float) -> str:
    """`#rrggbb` as `rgba(...)`."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def style_figure(figure: go.Figure, metric: str, *, height: int = HEIGHT) -> go.Figure:
    """Gives a figure with `metric` on its y axes the common look; returns it."""
    import plotly.graph_objects as go

    axis: dict[str, Any] = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": AXIS,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": AXIS,
        "automargin": True,
        "title_standoff": 8,
        "title_font": {"size": 13, "color": MUTED},
        "fixedrange": False,
    }
    figure.update_layout(
        template=go.layout.Template(),  # the default one adds 7 kB to each figure
        height=height,
        autosize=True,
        dragmode=False,  # a thumb that scrolls the page must not zoom the plot
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        hovermode="closest",
        hoverlabel={"font": {"family": FONT, "size": 12}, "align": "left"},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "title_text": ""},
    )
    figure.update_xaxes(**axis, showgrid=False)
    figure.update_yaxes(**axis, tickformat=".2~%" if is_fraction(metric) else None)
    return figure


def build_log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis around positive values, with ticks at powers of ten, and at 2 and 5 when it is short."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.08 * (high - low), 0.1)
    low, high = low - margin, high + margin
    steps = (1, 2, 5) if high - low < 1.6 else (1,)
    ticks = [
        step * 10.0**decade
        for decade in range(math.floor(low), math.ceil(high) + 1)
        for step in steps
        if low <= decade + math.log10(step) <= high
    ] or sorted(set(values))
    return {
        "type": "log",
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{tick:.4g}" if 1e-4 < tick < 1e4 else f"{tick:.0e}".replace("e-0", "e-") for tick in ticks],
    }


def build_buttons(labels: Sequence[str], groups: Sequence[int], changes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Buttons below the axis, where neither legend nor curves lie, each of which shows one group of traces.

    Args:
        labels: What stands on each button.
        groups: The group of each trace of the figure, counted from 0.
        changes: What each button changes in the layout, such as the title of an axis.
    """
    shown = [{"visible": [group == each for each in groups]} for group in range(len(labels))]
    return build_choice(labels, shown, changes)


def build_choice(
    labels: Sequence[str], traces: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Buttons below the axis, each of which changes the traces.

    Args:
        labels: What stands on each button.
        traces: What each button changes in the traces: name of an attribute -> its value in each trace.
        changes: What each button changes in the layout.
    """
    return {
        "type": "buttons",
        "direction": "right",
        "x": 0,
        "xanchor": "left",
        "y": -0.2,
        "yanchor": "top",
        "pad": {"t": 4},
        "showactive": True,
        "font": {"size": 12},
        "buttons": [
            {"label": label, "method": "update", "args": [trace, change]}
            for label, trace, change in zip(labels, traces, changes, strict=True)
        ],
    }


def add_rows(figure: go.Figure, names: Sequence[str]) -> None:
    """Gives the y axis a row for each name, the first on top, at 0, 1, 2 and so on."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[escape(name) for name in names],
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        ticks="",
        tickformat=None,
    )


def describe_trial(table: SweepTable, trial: TrialRow) -> str:
    """What pointing at a trial shows; plotly reads a little HTML."""
    state = str(trial.state or "running").replace("_", " ")
    settings = format_parameters(searched_parameters(table, trial))
    return f"<b>{escape(trial.trial_id)}</b> · {state}<br>{escape(settings)}"


def hover_text(metric: str) -> str:
    """The template of what pointing at an epoch shows."""
    return f"%{{text}}<br>epoch %{{x}}: {value_format(metric)}<extra></extra>"


def value_format(metric: str) -> str:
    """The template of a metric's value."""
    return f"{title_of(metric)} " + ("%{y:.2%}" if is_fraction(metric) else "%{y:.4f}")
