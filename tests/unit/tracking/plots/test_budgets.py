from __future__ import annotations

import math
from typing import Any

import pytest
from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.budgets import build_chance_plot, build_expected_best_plot, collect_trials
from tracking.plots.style import NoPlot, Plot
from tracking.table import SweepTable


def two_arms(*more: Any) -> SweepTable:
    good = [search_trial("adam", number, value) for number, value in enumerate((0.5, 0.6, 0.7))]
    weak = [search_trial("sgd", number, value) for number, value in enumerate((0.1, 0.2, 0.3))]
    return plain_table(*good, *weak, *more)


def line_of(plot: Plot | NoPlot | None, arm: str, place: int = 0) -> Any:
    assert isinstance(plot, Plot)
    return [trace for trace in plot.figure.data if trace.name == arm][place]


def test_expected_best_of_one_two_and_three_trials() -> None:
    line = line_of(build_expected_best_plot(two_arms()), "adam")

    assert line.x == (1, 2, 3)
    # of two of the three, 0.7 is among them in two of three pairs; 1,000 shuffles come within a hundredth of it
    assert line.y == pytest.approx((0.6, 2 / 3, 0.7), abs=0.01)
    assert line.y[-1] == 0.7


def test_an_arm_whose_every_trial_is_better_is_best_at_each_budget() -> None:
    plot = build_chance_plot(two_arms())

    assert line_of(plot, "adam").y == (1, 1, 1)
    assert line_of(plot, "sgd").y == (0, 0, 0)


def test_the_same_curves_are_there_in_epochs_and_seconds() -> None:
    plot = build_expected_best_plot(two_arms())

    assert line_of(plot, "adam", 1).x == (1, 2, 3)
    assert (line_of(plot, "adam", 2).x[0], line_of(plot, "adam", 2).x[-1]) == (3, 9)
    assert [line_of(plot, "adam", place).visible for place in range(3)] == [True, False, False]
    assert isinstance(plot, Plot)
    buttons = plot.figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["in trials", "in epochs", "in seconds"]
    assert buttons[2].args[0]["visible"] == [False] * 8 + [True] * 4


def test_a_diverged_trial_costs_and_is_never_the_best_and_one_that_runs_does_neither() -> None:
    diverged = search_trial("adam", 3, 0.9, state=TrialState.DIVERGED)
    running = search_trial("adam", 4, 0.95, state=None)

    trials = collect_trials(two_arms(diverged, running), "epochs")["adam"]

    assert trials.costs.tolist() == [1, 1, 1, 1]
    assert [value for value in trials.values.tolist() if not math.isnan(value)] == [0.5, 0.6, 0.7]


def test_one_arm_has_an_expected_best_and_no_rival() -> None:
    trials = [search_trial("all", number, value) for number, value in enumerate((0.5, 0.6, 0.7))]
    table = plain_table(*trials, compare=None)

    assert isinstance(build_expected_best_plot(table), Plot)
    assert build_chance_plot(table) is None


def test_two_trials_of_an_arm_make_no_curve() -> None:
    table = plain_table(search_trial("adam", 0, 0.5), search_trial("adam", 1, 0.6))

    assert isinstance(build_expected_best_plot(table), NoPlot)
