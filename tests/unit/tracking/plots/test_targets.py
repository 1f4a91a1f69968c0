from __future__ import annotations

import pytest
from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.style import NoPlot, Plot
from tracking.plots.targets import build_target_plot, find_target, measure_times
from tracking.table import SweepTable


def two_arms() -> SweepTable:
    """sgd's best is 0.612, so the target is 0.61."""
    return plain_table(
        search_trial("adam", 0, 0.50, 0.62, 0.70),
        search_trial("adam", 1, 0.65, 0.66, 0.66),
        search_trial("adam", 2, 0.30, state=TrialState.EARLY_STOPPED),
        search_trial("adam", 3, 0.40, state=TrialState.DIVERGED),
        search_trial("sgd", 0, 0.30, 0.50, 0.612),
        search_trial("sgd", 1, 0.30, 0.40, 0.45),
        search_trial("sgd", 2, 0.20, 0.30, 0.35),
    )


def test_the_target_is_what_every_arm_reached_in_half_points() -> None:
    assert find_target(two_arms()) == pytest.approx(0.61)


def test_an_arm_without_a_success_leaves_no_target() -> None:
    failed = search_trial("lion", 0, state=TrialState.FAILED)

    assert find_target(plain_table(*two_arms().trials, failed)) is None


def test_diverged_and_early_stopped_trials_never_get_there() -> None:
    race = measure_times(two_arms(), "epochs")

    assert race is not None
    adam, sgd = race.arms["adam"], race.arms["sgd"]
    assert adam.costs.tolist() == [1, 2]
    assert adam.shares.tolist() == pytest.approx([0.25, 0.5])
    assert (adam.median, adam.num_reached, adam.num_trials) == (2, 2, 4)
    assert sgd.shares.tolist() == pytest.approx([1 / 3])
    assert sgd.median is None


def test_seconds_are_those_until_the_epoch() -> None:
    race = measure_times(two_arms(), "seconds")

    assert race is not None
    assert race.arms["adam"].costs.tolist() == [3, 6]


def test_the_plot_shows_the_shares_and_says_who_got_there() -> None:
    plot = build_target_plot(two_arms(), "epochs")

    assert isinstance(plot, Plot)
    adam = next(trace for trace in plot.figure.data if trace.name == "adam")
    assert adam.y == pytest.approx((0, 0.25, 0.5, 0.5))
    assert "61.00 %" in plot.caption
    assert "Got there: adam 2 of 4; sgd 1 of 3." in plot.caption
    assert "Half of them by, in epochs: adam 2." in plot.caption


def test_a_few_trials_have_no_plot() -> None:
    plot = build_target_plot(plain_table(search_trial("adam", 0, 0.5)), "epochs")

    assert isinstance(plot, NoPlot)
    assert "3 ended trials" in plot.reason
