from __future__ import annotations

from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.effects import build_effect
from tracking.plots.style import Plot
from tracking.table import SweepTable


def swept(**changes: object) -> SweepTable:
    """adam: good from 0.01 to 0.1, worse on both sides; sgd: one rate, then divergence."""
    values = {0.001: 0.4, 0.01: 0.695, 0.03: 0.70, 0.1: 0.692, 1.0: 0.3}
    adam = [search_trial("adam", number, value, lr=lr) for number, (lr, value) in enumerate(values.items())]
    sgd = [
        search_trial("sgd", 0, 0.6, lr=0.5),
        search_trial("sgd", 1, 0.6, lr=1.0, state=TrialState.DIVERGED),
    ]
    return plain_table(*adam, *sgd, **changes)


def build(table: SweepTable) -> Plot:
    plot = build_effect(table, "lr")
    assert plot is not None
    return plot


def test_a_bar_spans_the_rates_within_a_point_of_the_arms_best() -> None:
    bars = {trace.name: trace for trace in build(swept()).figure.data if trace.yaxis == "y2"}

    assert bars["adam"].x == (0.01, 0.1)
    assert bars["adam"].marker.symbol == ("circle", "circle")
    assert bars["adam"].text[0] == "adam: 0.01 to 0.1, 3 trials"


def test_an_arrow_stands_where_no_trial_lies_beyond() -> None:
    bars = {trace.name: trace for trace in build(swept()).figure.data if trace.yaxis == "y2"}

    assert bars["sgd"].x == (0.5, 0.5)
    assert bars["sgd"].marker.symbol == ("triangle-left", "circle")  # above it, it diverged


def test_the_caption_has_the_widths() -> None:
    assert "Width: adam × 10, sgd one trial." in build(swept()).caption


def test_bars_lie_below_the_points() -> None:
    layout = build(swept()).figure.layout

    assert layout.yaxis2.domain[1] < layout.yaxis.domain[0]
    assert layout.xaxis.anchor == "y2"


def test_a_loss_has_no_points_of_accuracy() -> None:
    plot = build(swept(goal_metric="train_seconds", goal="minimize"))

    assert not [trace for trace in plot.figure.data if trace.yaxis == "y2"]
    assert "Width" not in plot.caption
