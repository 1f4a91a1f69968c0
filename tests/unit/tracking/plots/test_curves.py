from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from plain_table import plain_table, search_trial

from tracking.names import TrialState
from tracking.plots.curves import build_best_curves, build_median_curves
from tracking.table import SweepTable, TrialRow


def trial_with_losses(
    number: int, *losses: float, training: tuple[float, ...] = (), state: TrialState = TrialState.COMPLETED
) -> TrialRow:
    trial = search_trial("adam", number, *(0.1 + 0.01 * number for _ in losses), state=state)
    history: dict[str, Any] = {**trial.history, "val_loss": tuple(enumerate(losses, start=1))}
    if training:
        history["train_loss"] = tuple(enumerate(training, start=1))
    return replace(trial, history=history)


def usual(*more: TrialRow) -> SweepTable:
    return plain_table(*(trial_with_losses(number, 2.0, 1.0) for number in range(3)), *more)


def test_a_trial_that_starts_from_far_away_does_not_press_the_others_to_the_foot() -> None:
    plot = build_median_curves(usual(trial_with_losses(3, 44.0, 1.5)), "val_loss")

    assert plot is not None
    low, high = plot.figure.layout.yaxis.range
    assert low < 1.0
    assert 4.0 < high < 5.0
    assert plot.caption.endswith("What lies above 4.2 is cut off.")


def test_a_diverged_trial_does_not_either_and_nothing_is_said_where_nothing_is_cut() -> None:
    plot = build_median_curves(usual(), "val_loss")
    assert plot is not None
    assert "cut off" not in plot.caption
    diverged = build_median_curves(usual(trial_with_losses(3, 2.0, 9e9, state=TrialState.DIVERGED)), "val_loss")
    assert diverged is not None
    assert diverged.figure.layout.yaxis.range[1] == pytest.approx(2.06)


def test_training_loss_stands_beside_the_best_trials_validation_loss() -> None:
    best = trial_with_losses(9, 2.0, 1.0, training=(1.9, 0.4))

    plot = build_best_curves(usual(best), "val_loss")

    assert plot is not None
    validation, training = plot.figure.data
    assert (validation.y, training.y) == ((2.0, 1.0), (1.9, 0.4))
    assert training.line.dash == "dot"
    assert "Dotted" in plot.caption
    accuracy = build_best_curves(usual(best), "val_accuracy")
    assert accuracy is not None
    assert "Dotted" not in accuracy.caption


def with_seconds(trial: TrialRow, train: float, validation: float) -> TrialRow:
    """The trial, each of whose epochs took so long."""
    epochs = range(1, trial.num_epochs + 1)
    history = {**trial.history, "train_seconds": tuple((epoch, train) for epoch in epochs)}
    return replace(trial, history={**history, "validation_seconds": tuple((epoch, validation) for epoch in epochs)})


def test_curves_are_over_seconds_too() -> None:
    table = plain_table(
        *(with_seconds(trial_with_losses(number, 2.0, 1.0), 1.0 + number, 0.5) for number in range(3)),
        with_seconds(trial_with_losses(9, 2.0, 1.0, 0.5), 4.0, 1.0),
    )
    best, middle = build_best_curves(table, "val_loss"), build_median_curves(table, "val_loss")
    assert best is not None
    assert middle is not None

    (in_epochs, first), (in_seconds, second) = [each["args"] for each in best.figure.layout.updatemenus[0].buttons]
    assert in_epochs["x"] == [list(trace.x) for trace in best.figure.data]
    assert (first["xaxis.title.text"], second["xaxis.dtick"]) == ("epoch", None)
    assert first["xaxis.dtick"] == best.figure.layout.xaxis.dtick
    assert in_seconds["x"] == [[5.0, 10.0, 15.0]]
    assert second["xaxis.range"][1] > 15.0
    band, line = middle.figure.layout.updatemenus[0].buttons[1]["args"][0]["x"]
    assert line == [3.0, 6.0, 9.0]  # epochs take 1.5, 2.5, 3.5 and 5 seconds
    assert band == [*line, *reversed(line)]
    assert "median of its trials" in middle.caption


def test_curves_without_known_seconds_have_epochs_alone() -> None:
    trial = trial_with_losses(0, 2.0, 1.0)
    timeless = {name: points for name, points in trial.history.items() if not name.endswith("_seconds")}
    plot = build_median_curves(plain_table(replace(trial, history=timeless)), "val_loss")
    assert plot is not None
    assert not plot.figure.layout.updatemenus
    assert "econds" not in plot.caption
