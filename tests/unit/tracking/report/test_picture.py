"""Still pictures of the report's figures, looked at as pictures."""

from __future__ import annotations

import io

import numpy as np
import plotly.graph_objects as go
import pytest
from build_table import build_table
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from tracking.plots.plots import build_confirmed_plots, build_plots
from tracking.plots.style import COLORS, Plot, style_figure
from tracking.report.picture import DOTS_PER_INCH, CannotDraw, draw_png

PLOTS = (*build_confirmed_plots(build_table()), *build_plots(build_table()))


def look_at(content: bytes) -> NDArray[np.uint8]:
    """The picture as rows, columns and colours."""
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def count(picture: NDArray[np.uint8], color: str) -> int:
    """How many pixels have a colour, `#rrggbb`, exactly."""
    wanted = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)])
    return int((picture == wanted).all(axis=2).sum())


def draw(*traces: go.Scatter, **axes: object) -> NDArray[np.uint8]:
    figure = style_figure(go.Figure(list(traces)), "val_loss")
    figure.update_xaxes(**axes)
    return look_at(draw_png(figure))


def line(y: list[float | None], color: str = COLORS[0], **more: object) -> go.Scatter:
    return go.Scatter(x=list(range(1, len(y) + 1)), y=y, mode="lines", line={"color": color, "width": 3}, **more)


@pytest.mark.parametrize("plot", PLOTS, ids=[plot.key for plot in PLOTS])
def test_every_figure_of_a_sweep_is_drawn_in_the_colours_of_its_arms(plot: Plot) -> None:
    picture = look_at(draw_png(plot.figure, wide=plot.wide))
    height, width, _ = picture.shape
    assert width > (6 if not plot.wide else 9) * DOTS_PER_INCH
    assert height > 1.5 * DOTS_PER_INCH
    traces = [trace for trace in plot.figure.data if trace.visible in (None, True)]
    used = {trace.line.color for trace in traces} | {trace.marker.color for trace in traces if trace.mode == "markers"}
    assert used
    assert all(count(picture, color) > 50 for color in COLORS[:4] if color in used)


def test_what_is_hidden_is_not_drawn() -> None:
    shown, hidden = line([1, 2, 3]), line([3, 2, 1], COLORS[1], visible=False)
    picture = draw(shown, hidden)
    assert count(picture, COLORS[0]) > 500
    assert count(picture, COLORS[1]) == 0


def test_a_gap_stays_a_gap() -> None:
    whole, torn = draw(line([1.0] * 9)), draw(line([1.0, 1.0, None, None, None, None, None, 1.0, 1.0]))
    assert count(torn, COLORS[0]) < 0.5 * count(whole, COLORS[0])


def test_a_logarithmic_axis_is_one() -> None:
    points = go.Scatter(x=[1, 10, 100], y=[1, 2, 3], mode="markers", marker={"color": COLORS[0], "size": 12})
    picture = draw(points, type="log", range=[-0.1, 2.1])
    columns = np.flatnonzero((picture == [0x00, 0x72, 0xB2]).all(axis=2).any(axis=0))
    middles = [part.mean() for part in np.split(columns, np.flatnonzero(np.diff(columns) > 20) + 1)]
    assert len(middles) == 3
    assert middles[1] - middles[0] == pytest.approx(middles[2] - middles[1], abs=3)


def test_numbers_beside_a_logarithmic_axis_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    original = Text.draw

    def draw_text(self: Text, *arguments: object, **options: object) -> None:
        drawn.append(self.get_text())
        original(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Text, "draw", draw_text)
    figure = style_figure(go.Figure(line([0.5, 1.1, 2.3])), "val_loss")
    draw_png(figure.update_yaxes(type="log"))
    assert {"0.6", "1", "2"} <= set(drawn)
    assert not [text for text in drawn if "$" in text or ("e" in text and text[0].isdigit())]


def test_open_symbols_are_open() -> None:
    marker = {"color": COLORS[0], "size": 20, "line": {"width": 2, "color": COLORS[0]}}
    filled, opened = (
        draw(go.Scatter(x=[1], y=[1], mode="markers", marker={**marker, "symbol": symbol}))
        for symbol in ("circle", "circle-open")
    )
    assert count(opened, COLORS[0]) < 0.6 * count(filled, COLORS[0])


def test_names_are_drawn_as_they_are_and_nothing_of_them_is_read() -> None:
    names = ["$\\frac{1}$", "a_b^c $", "実験 🎉", "&lt;b&gt;x&lt;/b&gt;", "x" * 200]
    picture = draw(*(line([1, index], name=name) for index, name in enumerate(names)))
    assert count(picture, COLORS[0]) > 500


def test_words_stand_where_they_belong() -> None:
    words = go.Scatter(x=[2], y=[1], mode="text", text=["12"], textfont={"color": COLORS[1], "size": 40})
    picture = draw(words, range=[0, 2.5])
    columns = np.flatnonzero((picture == [0xD5, 0x5E, 0x00]).all(axis=2).any(axis=0))
    assert columns.mean() > 0.7 * picture.shape[1]


def test_what_cannot_be_drawn_is_refused() -> None:
    bars = style_figure(go.Figure(go.Bar(x=[1], y=[1])), "val_loss")
    with pytest.raises(CannotDraw, match="no still picture is drawn of bar"):
        draw_png(bars)


def test_a_heat_map_has_its_rows_from_the_top_in_the_colours_of_its_scale() -> None:
    scale = [(0.0, COLORS[0]), (1.0, COLORS[1])]
    figure = style_figure(
        go.Figure(go.Heatmap(x=[1, 2], y=["a", "b"], z=[[0, 0], [1, None]], coloraxis="coloraxis")), ""
    )
    bar = {"tickvals": [0, 1], "ticktext": ["1", "10"], "title": {"text": "norm"}}
    figure.update_layout(coloraxis={"colorscale": scale, "cmin": 0, "cmax": 1, "colorbar": bar})

    picture = look_at(draw_png(figure))

    body = picture[:, : int(0.8 * picture.shape[1])]
    upper, lower = body[: len(body) // 3], body[2 * len(body) // 3 :]
    assert count(upper, COLORS[0]) > 1.5 * count(lower, COLORS[1]) > 1000
    assert count(upper, COLORS[1]) == 0


def test_a_note_beside_an_axis_is_drawn_there() -> None:
    figure = style_figure(go.Figure(line([1, 2, 3])), "val_loss")
    figure.add_annotation(x=3, y=1, text="here", showarrow=False, font={"size": 30}, bgcolor=COLORS[1])

    picture = look_at(draw_png(figure))

    rows, columns = np.nonzero((picture == [0xD5, 0x5E, 0x00]).all(axis=2))
    assert rows.mean() > 0.5 * picture.shape[0]
    assert columns.mean() > 0.7 * picture.shape[1]
