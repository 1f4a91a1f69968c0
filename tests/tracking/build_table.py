"""A realistic sweep made of formulas: four optimizers, stopped, diverged and failed trials, one retraining per arm."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.table import SweepTable, TrialRow, Value

ARMS = ("sgd", "momentum", "rmsprop", "adam")
NUM_TRIALS_PER_ARM = 6
NUM_EPOCHS = 9
STARTED = 1_795_000_000.0

BEST_LR = {"sgd": 0.3, "momentum": 0.05, "rmsprop": 1e-3, "adam": 2e-3}
PEAK = {"sgd": 0.70, "momentum": 0.757, "rmsprop": 0.735, "adam": 0.751}
LRS = {
    "sgd": (0.004, 0.03, 0.11, 0.34, 0.9, 2.6),
    "momentum": (3e-4, 0.004, 0.018, 0.06, 0.21, 0.9),
    "rmsprop": (2e-5, 2e-4, 8e-4, 3e-3, 0.012, 0.08),
    "adam": (3e-5, 3e-4, 1.1e-3, 2.4e-3, 0.011, 0.09),
}
ERROR = "OutOfMemoryError: the worker process was killed (its node ran out of memory)"


@dataclass(frozen=True)
class Outcome:
    state: TrialState
    num_epochs: int
    stop_reason: str


COMPLETED = Outcome(TrialState.COMPLETED, NUM_EPOCHS, "")
STOPPED_AT_1 = Outcome(TrialState.EARLY_STOPPED, 1, "asha: below the best third at epoch 1")
STOPPED_AT_3 = Outcome(TrialState.EARLY_STOPPED, 3, "asha: below the best third at epoch 3")
DIVERGED = Outcome(TrialState.DIVERGED, 1, "train_loss is not finite at epoch 2")
FAILED = Outcome(TrialState.FAILED, 0, ERROR)

OUTCOMES = {
    "sgd": (STOPPED_AT_1, STOPPED_AT_3, COMPLETED, COMPLETED, STOPPED_AT_3, DIVERGED),
    "momentum": (STOPPED_AT_1, STOPPED_AT_3, COMPLETED, COMPLETED, STOPPED_AT_1, DIVERGED),
    "rmsprop": (STOPPED_AT_1, FAILED, COMPLETED, STOPPED_AT_3, STOPPED_AT_1, DIVERGED),
    "adam": (STOPPED_AT_1, STOPPED_AT_3, COMPLETED, COMPLETED, FAILED, DIVERGED),
}


def build_history(arm: str, lr: float, num_epochs: int, seed: int) -> dict[str, tuple[tuple[int, float], ...]]:
    """Learning curves that saturate, higher the nearer the learning rate is to the arm's best."""
    decades = math.log10(lr / BEST_LR[arm])
    peak = 0.1 + (PEAK[arm] - 0.1) * math.exp(-(decades**2) / 2.2)
    history: dict[str, list[tuple[int, float]]] = {}
    for epoch in range(1, num_epochs + 1):
        wobble = 0.012 * math.sin(7.0 * epoch + 3 * seed)
        accuracy = 0.1 + (peak - 0.1) * (1 - math.exp(-epoch / 2.2)) + wobble
        values = {
            "train_accuracy": accuracy + 0.004 * epoch,
            "val_accuracy": accuracy,
            "train_loss": 2.3 * (1 - accuracy) ** 1.15 - 0.01 * epoch,
            "val_loss": 2.3 * (1 - accuracy) ** 1.1,
            "lr": lr,
            "train_seconds": 5.2 + 0.3 * math.sin(seed),
            "validation_seconds": 0.4,
            "num_samples": 20_000.0,
            "num_steps": 157.0,
            "num_gradient_evaluations": 157.0,
        }
        for key, value in values.items():
            history.setdefault(key, []).append((epoch, value))
    return {key: tuple(points) for key, points in history.items()}


def build_trial(arm: str, number: int, stage: str = STAGE_SEARCH) -> TrialRow:
    if stage == STAGE_CONFIRM:
        name, number, outcome, seed = f"{arm}-confirm-000", 2 if arm == "rmsprop" else 3, COMPLETED, 811
    else:
        name, outcome, seed = f"{arm}-{number:03d}", OUTCOMES[arm][number], number
    lr = LRS[arm][number]
    history = build_history(arm, lr, outcome.num_epochs, seed + ARMS.index(arm))
    summary = {key: points[-1][1] for key, points in history.items()}
    if history:
        best_epoch, best = max(history["val_accuracy"], key=lambda point: point[1])
        summary |= {"best_val_accuracy": best, "best_epoch": float(best_epoch)}
        if stage == STAGE_CONFIRM:
            summary |= {"test_accuracy": best - 0.006, "test_loss": 0.8}
    parameters: dict[str, Value] = {
        "dataset": "cifar10",
        "model": "fastcnn",
        "optimizer": arm,
        "lr": lr,
        "batch_size": (32, 64, 128)[(number + ARMS.index(arm)) % 3],
        "initializer": ("glorot_uniform", "he_normal")[(number + ARMS.index(arm) // 2) % 2],
        "epochs": NUM_EPOCHS,
        "seed": seed,
        "flip": True,
        "train_size": None,
    }
    start = STARTED + 60 * number
    return TrialRow(
        trial_id=name,
        number=0 if stage == STAGE_CONFIRM else number,
        arm=arm,
        stage=stage,
        state=outcome.state,
        stop_reason=outcome.stop_reason,
        seed=seed,
        parameters=parameters,
        history=history,
        summary=summary,
        start_time=start,
        end_time=start + 6 * outcome.num_epochs + 1,
    )


def build_table(**changes: object) -> SweepTable:
    """The whole sweep; `changes` replaces fields of the table."""
    trials = [build_trial(arm, number) for arm in ARMS for number in range(NUM_TRIALS_PER_ARM)]
    trials += [build_trial(arm, 0, STAGE_CONFIRM) for arm in ARMS]
    fields: dict[str, object] = {
        "sweep_id": "optimizers-20261124-031500-9f3a",
        "name": "optimizers",
        "project": "cifar10",
        "state": "completed",
        "goal_metric": "val_accuracy",
        "goal": "maximize",
        "compare": "optimizer",
        "arms": ARMS,
        "searched": ("batch_size", "initializer", "optimizer", "lr"),
        "manifest": {
            "git": {"commit": "0f9c1d2e", "dirty": False},
            "packages": {"torch": "2.14.1", "ray": "2.60.0", "mlflow": "3.17.2"},
            "hardware": {"cpu": "2 cores", "memory_bytes": 8_222_298_112},
            "data": {"name": "cifar10", "digest": "sha256:5c1e…", "split_digest": "sha256:77aa…"},
            "seed": 0,
        },
        "sweep_file": "name: optimizers\nmethod: bayes\ncompare: optimizer\n",
        "trials": tuple(trials),
        "notices": (),
    }
    return SweepTable(**{**fields, **changes})  # type: ignore[arg-type]
