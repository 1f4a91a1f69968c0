"""Sweeps of a few trials with given curves, for numbers that can be checked by hand."""

from __future__ import annotations

from typing import Any

from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.table import SweepTable, TrialRow, Value


def search_trial(
    arm: str, number: int, *curve: float, state: TrialState | None = TrialState.COMPLETED, **parameters: Value
) -> TrialRow:
    """A trial with these validation accuracies; each epoch took 2 seconds of training and 1 of validation."""
    history = {
        "val_accuracy": tuple(enumerate(curve, start=1)),
        "train_seconds": tuple((epoch, 2.0) for epoch in range(1, len(curve) + 1)),
        "validation_seconds": tuple((epoch, 1.0) for epoch in range(1, len(curve) + 1)),
    }
    settings = {"optimizer": arm, **parameters}
    return TrialRow(f"{arm}-{number:03d}", number, arm, STAGE_SEARCH, state, "", number, settings, history)


def retraining(trial: TrialRow, seed: int, validation: float, test: float) -> TrialRow:
    summary = {"best_val_accuracy": validation, "val_accuracy": validation, "test_accuracy": test}
    name, state = f"{trial.arm}-confirm-{seed:03d}", TrialState.COMPLETED
    return TrialRow(name, seed, trial.arm, STAGE_CONFIRM, state, "", seed, trial.parameters, {}, summary)


def plain_table(*trials: TrialRow, **changes: Any) -> SweepTable:
    arms = tuple(dict.fromkeys(trial.arm for trial in trials))
    fields: dict[str, Any] = {
        "sweep_id": "id",
        "name": "n",
        "project": "p",
        "state": "completed",
        "goal_metric": "val_accuracy",
        "goal": "maximize",
        "compare": "optimizer",
        "arms": arms,
        "searched": ("lr", "optimizer"),
        "manifest": {"search": {"exhaustive": True}},  # no arm owes anything to the luck of its search
        "sweep_file": "",
        "trials": trials,
    }
    return SweepTable(**{**fields, **changes})
