from __future__ import annotations

from dataclasses import replace

import pytest
from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.curvature import SADDLE_SHARE, build_curvature_plot
from tracking.plots.style import NoPlot, Plot
from tracking.table import TrialRow
from trainer.loop import curvature


def ended(number: int, largest: float, smallest: float, state: TrialState = TrialState.COMPLETED) -> TrialRow:
    trial = search_trial("adam", number, 0.1, state=state)
    return replace(trial, summary={"hessian_largest": largest, "hessian_smallest": smallest})


def test_a_trial_is_as_far_right_as_it_is_sharp_and_as_low_as_it_is_a_saddle() -> None:
    table = plain_table(ended(0, 40.0, -2.0), ended(1, 10.0, -4.0, TrialState.EARLY_STOPPED))

    plot = build_curvature_plot(table)

    assert isinstance(plot, Plot)
    points = next(trace for trace in plot.figure.data if trace.x != (None,))
    assert points.x == (40, 10)
    assert points.y == pytest.approx((-0.05, -0.4))
    assert points.marker.symbol == ("circle", "circle-open")
    low, high = plot.figure.layout.yaxis.range
    assert low < -0.4
    assert high > 0


def test_the_line_of_saddles_is_where_the_trainer_has_it() -> None:
    assert SADDLE_SHARE == curvature.SADDLE_SHARE
    plot = build_curvature_plot(plain_table(ended(0, 40.0, 1.0)))
    assert isinstance(plot, Plot)
    assert plot.figure.layout.shapes[0].y0 == -SADDLE_SHARE


def test_what_was_not_measured_is_said_with_how_to_measure_it() -> None:
    plot = build_curvature_plot(plain_table(search_trial("adam", 0, 0.1)))

    assert isinstance(plot, NoPlot)
    assert "`measure_curvature: true`" in plot.reason
