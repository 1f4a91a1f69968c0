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
