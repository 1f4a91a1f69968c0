"""A figure of the report as a still picture, drawn by Matplotlib: no browser is needed.

It knows what the figures of `tracking.plots` are made of, which is plotly's scatter traces and heat maps; `draw_png`
refuses others.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tracking.plots.style import AXIS, GRID, INK, MUTED

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

PIXELS_PER_INCH = 96  # of a web page, in which figures have their height
DOTS_PER_INCH = 160
WIDTH_INCHES, WIDE_INCHES = 7.0, 10.0
LEFT, RIGHT, BOTTOM, TOP = 0.75, 0.2, 0.6, 0.5  # inches around the axes
_MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "pentagon": "p", "hexagon": "h", "star": "*",
    "triangle-down": "v", "triangle-left": "<", "triangle-right": ">", "x-thin": "x",
}  # fmt: skip
_SIDES = {"x": ("bottom", "top"), "y": ("left", "right")}
_HEIGHTS = {"auto": "center", "middle": "center", "top": "top", "bottom": "bottom"}
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_POINTS = 72 / PIXELS_PER_INCH  # a pixel of the page in points


class CannotDraw(ValueError):
    """The figure has something that no picture is drawn of."""


def draw_png(figure: go.Figure, *, wide: bool = False) -> bytes:
    """The figure as a PNG file.

    Raises:
        CannotDraw: It has a trace of another kind than scatter and heatmap.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    traces = [trace for trace in figure.data if trace.visible in (None, True)]
    if strange := {trace.type for trace in traces} - {"scatter", "heatmap"}:
        raise CannotDraw(f"no still picture is drawn of {', '.join(sorted(strange))}")
    size = (WIDE_INCHES if wide else WIDTH_INCHES, figure.layout.height / PIXELS_PER_INCH)
    settings = {"text.parse_math": False, "font.size": 9.5, "axes.edgecolor": AXIS, "text.color": INK}
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that Matplotlib's font lacks; they become boxes
        picture = Figure(figsize=size, facecolor="white")
        FigureCanvasAgg(picture)
        _draw(figure, traces, picture)
        file = io.BytesIO()
        picture.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.1)
    return file.getvalue()


def _draw(figure: go.Figure, traces: Sequence[go.Scatter], picture: Figure) -> None:
    layout = figure.layout
    places = list(dict.fromkeys((trace.xaxis or "x", trace.yaxis or "y") for trace in traces))
    axes = {place: _add_axes(picture, layout, *place) for place in places}
    for order, trace in enumerate(traces):
        place = axes[trace.xaxis or "x", trace.yaxis or "y"]
        if trace.type == "heatmap":
            _draw_map(place, trace, layout.coloraxis)
        else:
            _draw_trace(place, trace, order)
    if layout.coloraxis.colorbar.tickvals:
        _add_colorbar(picture, layout.coloraxis)
    for shape in layout.shapes:
        _draw_line(axes, shape)
    for (x_name, y_name), each in axes.items():
        x_axis, y_axis = _find(layout, x_name), _find(layout, y_name)
        _style_axis(each, "x", x_axis, is_own=(x_axis.anchor or "y") == y_name)
        _style_axis(each, "y", y_axis, is_own=(y_axis.anchor or "x") == x_name)
    for note in layout.annotations:
        _write_note(picture, axes, note)
    _add_legend(picture, figure, traces)


def _find(layout: Any, name: str) -> Any:
    """The axis "x2" of a layout, which has it as `xaxis2`."""
    return layout[f"{name[0]}axis{name[1:]}"]


def _map(x: float, y: float, picture: Figure) -> tuple[float, float]:
    """A place in plotly's paper, 0..1 over the axes, as one in the whole picture."""
    width, height = picture.get_size_inches()
    return (LEFT + x * (width - LEFT - RIGHT)) / width, (BOTTOM + y * (height - BOTTOM - TOP)) / height


def _add_axes(picture: Figure, layout: Any, x_name: str, y_name: str) -> Axes:
    (x0, x1), (y0, y1) = (_find(layout, name).domain or (0.0, 1.0) for name in (x_name, y_name))
    (left, bottom), (right, top) = _map(x0, y0, picture), _map(x1, y1, picture)
    axes = picture.add_axes((left, bottom, right - left, top - bottom))
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _draw_trace(axes: Axes, trace: go.Scatter, order: int) -> None:
    x, y = _list_numbers(trace.x), _list_numbers(trace.y)
    mode = trace.mode or "lines"
    if trace.fill == "toself":
        for part in _split(x, y):
            axes.fill(*zip(*part, strict=True), color=_color(trace.fillcolor), linewidth=0, zorder=1)
    elif trace.fill not in (None, "none"):
        raise CannotDraw(f"no still picture is drawn of the filling {trace.fill}")
    if "lines" in mode and trace.line.width != 0:
        axes.plot(
            x,
            y,
            color=_color(trace.line.color),
            linewidth=_POINTS * (trace.line.width or 2),
            linestyle=_DASHES[trace.line.dash or "solid"],
            drawstyle="steps-post" if trace.line.shape == "hv" else "default",
            zorder=2 + order / 1000,
        )
    _draw_bars(axes, trace, x, y)
    if "text" in mode:
        size = _POINTS * (trace.textfont.size or 12)
        for left, height, text in zip(x, y, trace.text, strict=True):
            axes.text(
                left,
                height,
                _plain(text),
                size=size,
                color=_color(trace.textfont.color),
                ha="center",
                va="center",
                zorder=5,
            )
    if "markers" in mode:
        _draw_markers(axes, trace, x, y, order)


def _draw_map(axes: Axes, trace: go.Heatmap, colors: Any) -> None:
    """Cells of equal height, a row for each name, in the colours that plotly calls by the same name in capitals."""
    import numpy as np

    cells = np.array([_list_numbers(row) for row in trace.z])
    axes.imshow(
        np.ma.masked_invalid(cells), cmap=_find_colormap(colors), vmin=colors.cmin, vmax=colors.cmax,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    columns = sorted({round(each) for each in np.linspace(0, len(trace.x) - 1, 8)})
    axes.set_xticks(columns, [str(trace.x[column]) for column in columns])
    rows = sorted({round(each) for each in np.linspace(0, len(trace.y) - 1, 20)})
    axes.set_yticks(rows, [_plain(trace.y[row]) for row in rows])


def _find_colormap(colors: Any) -> Colormap:
    """Plotly's colour scale, which is a list of places and colours, as one of Matplotlib's."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("scale", [(place, _color(color)) for place, color in colors.colorscale])


def _add_colorbar(picture: Figure, colors: Any) -> None:
    """The colour scale at the right of everything."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    left, bottom = _map(1.02, 0.0, picture)
    _, top = _map(1.02, 1.0, picture)
    bar = picture.colorbar(
        ScalarMappable(Normalize(colors.cmin, colors.cmax), _find_colormap(colors)),
        cax=picture.add_axes((left, bottom, 0.014, top - bottom)),
    )
    bar.set_ticks(list(colors.colorbar.tickvals), labels=[_plain(text) for text in colors.colorbar.ticktext])
    bar.outline.set_visible(False)
    bar.set_label(_plain(colors.colorbar.title.text), color=MUTED)


def _draw_bars(axes: Axes, trace: go.Scatter, x: list[float], y: list[float]) -> None:
    for name, bar in (("xerr", trace.error_x), ("yerr", trace.error_y)):
        if bar.array is not None:
            below = bar.array if bar.arrayminus is None else bar.arrayminus
            lengths: dict[str, Any] = {name: [list(below), list(bar.array)]}
            axes.errorbar(
                x, y, **lengths, fmt="none", ecolor=_color(bar.color),
                elinewidth=_POINTS * (bar.thickness or 2), capsize=3, zorder=3,
            )  # fmt: skip


def _draw_markers(axes: Axes, trace: go.Scatter, x: list[float], y: list[float], order: int) -> None:
    """Points, those of equal symbol together: Matplotlib has one for each collection."""
    marker = trace.marker
    color = _color(marker.color or trace.line.color)
    edge = _color(marker.line.color) if marker.line.color else color
    symbols = (
        [marker.symbol or "circle"] * len(x)
        if marker.symbol is None or isinstance(marker.symbol, str)
        else marker.symbol
    )
    points = sorted(zip(symbols, x, y, strict=True), key=lambda point: str(point[0]))
    for symbol, members in groupby(points, key=lambda point: str(point[0])):
        base, is_open = symbol.removesuffix("-open"), symbol.endswith("-open")
        _, xs, ys = zip(*members, strict=True)
        axes.scatter(
            xs,
            ys,
            s=(_POINTS * (marker.size or 6)) ** 2,
            marker=_MARKERS[base],
            facecolors="none" if is_open and base != "x-thin" else [color],
            edgecolors=None if base == "x-thin" else [edge],
            linewidths=_POINTS * (marker.line.width or (2 if is_open or base == "x-thin" else 0)),
            zorder=4 + order / 1000,
        )


def _draw_line(axes: Mapping[tuple[str, str], Axes], shape: Any) -> None:
    """A line from one end of the axes to the other."""
    place = next((each for name, each in axes.items() if shape.xref in name or shape.yref in name), None)
    if place is None or shape.type != "line":
        raise CannotDraw(f"no still picture is drawn of a {shape.type} at {shape.xref} and {shape.yref}")
    style = {"color": _color(shape.line.color), "linewidth": _POINTS * (shape.line.width or 1), "zorder": 1.5}
    style["linestyle"] = _DASHES[shape.line.dash or "solid"]
    if shape.x0 == shape.x1:
        place.axvline(shape.x0, **style)
    else:
        place.axhline(shape.y0, **style)


def _style_axis(axes: Axes, side: str, axis: Any, *, is_own: bool) -> None:
    """Scale, range, ticks and title of one side; an axis that belongs to other axes below has neither of the last."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator, NullLocator

    drawn = axes.xaxis if side == "x" else axes.yaxis
    if axis.type == "log":
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        drawn.set_major_formatter(_build_log_formatter())
        drawn.set_minor_formatter(_build_log_formatter())
    limit = axes.set_xlim if side == "x" else axes.set_ylim
    if axis.range:
        limit(*(10**end for end in axis.range) if axis.type == "log" else axis.range)
    elif axis.rangemode == "tozero":
        limit(0, None)
    if axis.tickvals is not None:
        drawn.set_ticks(list(axis.tickvals), labels=[_plain(text) for text in axis.ticktext or axis.tickvals])
        drawn.set_minor_locator(NullLocator())
    elif axis.dtick:
        drawn.set_major_locator(MultipleLocator(float(axis.dtick)))
    if axis.tickformat and axis.tickvals is None:
        drawn.set_major_formatter(FuncFormatter(lambda value, _: _format(value, axis.tickformat)))
    (near, far), has_labels = _SIDES[side], is_own and axis.showticklabels is not False
    where = far if axis.side == far else near
    drawn.set_visible(axis.visible is not False)
    axes.spines[near].set_visible(axis.visible is not False and is_own and where == near)
    labels: dict[str, Any] = {f"label{each}": has_labels and each == where for each in (near, far)}
    drawn.set_tick_params(color=AXIS, labelcolor=INK, length=3 if is_own and axis.ticks != "" else 0, **labels)
    if axis.showgrid is not False and axis.visible is not False:
        axes.grid(True, axis="x" if side == "x" else "y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    if axis.title.text and is_own:
        drawn.set_label_text(_plain(axis.title.text), color=MUTED)


def _build_log_formatter() -> Any:
    """Labels the ticks that Matplotlib would, with plain numbers in place of formulas, which are not read here."""
    from matplotlib.ticker import LogFormatter

    class PlainLogFormatter(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    return PlainLogFormatter()


def _format(value: float, form: str) -> str:
    """A number in the two forms of d3 that the plots use: `.2~%`, without zeros at its end, and those of Python."""
    text = format(value, form.replace("~", ""))
    if "~" in form:
        number, percent = re.fullmatch(r"(.*?)(%?)", text).groups()  # type: ignore[union-attr]
        text = (number.rstrip("0").rstrip(".") if "." in number else number) + percent
    return text


def _write_note(picture: Figure, axes: Mapping[tuple[str, str], Axes], note: Any) -> None:
    """A text at a place of the picture, or of one pair of axes."""
    look: dict[str, Any] = {
        "ha": note.xanchor or "center",
        "va": _HEIGHTS[note.yanchor or "auto"],
        "weight": "bold" if note.text.startswith("<b>") else "normal",
    }
    if note.font.size:
        look["size"] = _POINTS * note.font.size
    place = (note.xref or "x", note.yref or "y")
    if place == ("paper", "paper"):
        x, y = _map(note.x, note.y, picture)
        picture.text(x, y, _plain(note.text), **look)
    elif place in axes:
        shift = (_POINTS * (note.xshift or 0), _POINTS * (note.yshift or 0))
        if note.bgcolor:
            look["bbox"] = {"facecolor": _color(note.bgcolor), "edgecolor": "none", "pad": 1}
        axes[place].annotate(
            _plain(note.text),
            (note.x, note.y),
            shift,
            textcoords="offset points",
            zorder=6,
            annotation_clip=False,
            **look,
        )
    else:
        raise CannotDraw(f"no still picture is drawn of a note at {note.xref} and {note.yref}")


def _add_legend(picture: Figure, figure: go.Figure, traces: Sequence[go.Scatter]) -> None:
    """Names above the axes, in one row where they fit."""
    shown = [trace for trace in traces if trace.showlegend is not False and trace.name]
    if figure.layout.showlegend is False or not shown or (len(traces) < 2 and not figure.layout.showlegend):
        return
    handles = [_build_handle(trace) for trace in shown]
    x, y = _map(0.0, 1.0, picture)
    lines = [len(str(label).split("<br>")) for label in figure.layout.xaxis.ticktext or ()]
    is_on_top = figure.layout.xaxis.side == "top" and lines
    above = 0.1 + 0.17 * max(lines) if is_on_top else 0.25 if figure.layout.annotations else 0.0  # inches
    y += above / float(picture.get_size_inches()[1])
    names = [_plain(trace.name) for trace in shown]
    num_columns = max(1, min(len(shown), int(90 / max(len(name) + 8 for name in names))))
    picture.legend(
        handles, names, loc="lower left", bbox_to_anchor=(x, y), ncols=num_columns, frameon=False, borderaxespad=0.2
    )


def _build_handle(trace: go.Scatter) -> Any:
    """What stands before a name in the legend."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mode, symbol = trace.mode or "lines", trace.marker.symbol
    symbol = symbol if isinstance(symbol, str) else symbol[0] if symbol else "circle"
    base, is_open = symbol.removesuffix("-open"), symbol.endswith("-open")
    color = _color(trace.line.color or trace.marker.color)
    if trace.fill == "toself":
        return Patch(facecolor=_color(trace.fillcolor), edgecolor=color, linestyle=_DASHES[trace.line.dash or "solid"])
    return Line2D(
        [],
        [],
        color=color,
        linestyle=_DASHES[trace.line.dash or "solid"] if "lines" in mode else "none",
        linewidth=_POINTS * (trace.line.width or 2),
        marker=_MARKERS[base] if "markers" in mode else "none",
        markerfacecolor="none" if is_open else color,
        markersize=6,
    )


def _list_numbers(values: Any) -> list[float]:
    """Coordinates; a gap is NaN."""
    return [float("nan") if value is None else float(value) for value in (() if values is None else values)]


def _split(x: Sequence[float], y: Sequence[float]) -> Iterator[list[tuple[float, float]]]:
    """Yields the parts of a line between its gaps."""
    for is_point, members in groupby(
        zip(x, y, strict=True), key=lambda point: point[0] == point[0] and point[1] == point[1]
    ):
        if is_point:
            yield list(members)


def _color(text: str | None) -> Any:
    """A colour of plotly's for Matplotlib: `#rrggbb`, a name, or `rgba(...)`."""
    found = re.fullmatch(r"rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)", text or "")
    if found is None:
        return text or INK
    red, green, blue = (int(each) / 255 for each in found.groups()[:3])
    return (red, green, blue, float(found[4]))


def _plain(text: object) -> str:
    """Text that plotly reads as a little HTML, as text."""
    return unescape(re.sub(r"<[^>]*>", "", str(text).replace("<br>", "\n")))
