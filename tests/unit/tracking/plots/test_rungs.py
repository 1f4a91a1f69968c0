from __future__ import annotations

from typing import Any

import pytest
from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.rungs import build_agreement_plot, build_survival_plot
from tracking.plots.style import NoPlot, Plot
from tracking.table import TrialRow

STOPPED = TrialState.EARLY_STOPPED


def rungs_of_one_arm() -> list[TrialRow]:
    """Four trials: one ends at epoch 1, one diverges after 2, two run for 4."""
    return [
        search_trial("adam", 0, 0.1, state=STOPPED),
        search_trial("adam", 1, 0.2, 0.1, state=TrialState.DIVERGED),
        search_trial("adam", 2, 0.3, 0.4, 0.5, 0.6),
        search_trial("adam", 3, 0.4, 0.5, 0.6, 0.7),
    ]


def traces_of(plot: Plot | NoPlot) -> Any:
    assert isinstance(plot, Plot)
    return plot.figure.data


def test_the_number_of_trials_that_go_on_stands_between_the_rungs() -> None:
    _, labels, crosses = traces_of(build_survival_plot(plain_table(*rungs_of_one_arm())))

    assert labels.x == (0.5, 1.5, 3.0)
    assert labels.text == ("4", "3", "2")
    assert crosses.x == (2,)
    assert crosses.text == ("1 diverged or failed after epoch 2",)


def test_the_band_is_as_high_as_the_share_that_goes_on() -> None:
    band = traces_of(build_survival_plot(plain_table(*rungs_of_one_arm())))[0]

    heights = {x: 2 * max(abs(y) for at, y in zip(band.x, band.y, strict=True) if at == x) for x in (0, 4)}
    assert heights[4] == pytest.approx(heights[0] / 2)


def test_a_trial_that_runs_is_not_counted() -> None:
    running = search_trial("adam", 4, 0.4, state=None)

    labels = traces_of(build_survival_plot(plain_table(*rungs_of_one_arm(), running)))[1]

    assert labels.text[0] == "4"


def test_where_nothing_was_stopped_the_reason_is_said() -> None:
    plot = build_survival_plot(plain_table(search_trial("adam", 0, 0.1, 0.2), search_trial("sgd", 0, 0.1, 0.2)))

    assert isinstance(plot, NoPlot)
    assert plot.reason == "No trial has ended before its last epoch."


def reversing_trials(arm: str = "adam") -> list[TrialRow]:
    """After epoch 1 the trials stand in the reverse of their final order, after epoch 2 in the final one."""
    curves = [(0.4, 0.41, 0.42), (0.3, 0.5, 0.51), (0.2, 0.6, 0.61), (0.1, 0.7, 0.71)]
    return [search_trial(arm, number, *curve) for number, curve in enumerate(curves)]


def test_the_correlation_of_each_epoch_with_the_end() -> None:
    stopped = search_trial("adam", 4, 0.05, state=STOPPED)

    plot = build_agreement_plot(plain_table(*reversing_trials(), stopped))

    _, line, rung = traces_of(plot)
    assert line.x == (1, 2)
    assert line.y == pytest.approx((-1, 1))
    assert (rung.x, rung.y) == ((1,), pytest.approx((-1,)))
    assert isinstance(plot, Plot)
    assert plot.caption.endswith("At the rungs: -1.00 at epoch 1: doubtful at epoch 1.")
    assert "over the 4 trials" in plot.caption


def test_each_arm_with_four_complete_trials_has_a_line_of_its_own() -> None:
    table = plain_table(*reversing_trials(), *reversing_trials("sgd")[:3])

    names = [trace.name for trace in traces_of(build_agreement_plot(table)) if trace.name]

    assert names == ["all trials", "adam"]


def test_three_complete_trials_say_nothing_of_it() -> None:
    plot = build_agreement_plot(plain_table(*reversing_trials()[:3]))

    assert isinstance(plot, NoPlot)
    assert plot.reason == "It needs 4 trials that ran to their end, in values that differ; there are 3."
