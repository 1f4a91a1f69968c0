"""A sweep of any size made of formulas: ASHA with rungs at epochs 1 and 3, and retrainings of each arm's best."""

from __future__ import annotations

import math
import random
from typing import Any

from build_table import ARMS, BEST_LR, NUM_EPOCHS, PEAK, STARTED

from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.table import SweepTable, TrialRow, Value

RANGES = {"sgd": (1e-3, 3.0), "momentum": (1e-4, 1.0), "rmsprop": (1e-5, 1e-1), "adam": (1e-5, 1e-1)}
RUNGS = (1, 3)
BATCH_SIZES = (32, 64, 128)
INITIALIZERS = ("glorot_uniform", "he_normal")
GAIN = {32: 0.0, 64: 0.008, 128: -0.012, "glorot_uniform": -0.006, "he_normal": 0.006}


def build_large_table(trials_per_arm: int = 12, seeds: int = 6, **changes: Any) -> SweepTable:
    """`changes` replaces fields of the table."""
    luck = random.Random(7)
    trials = [trial for arm in ARMS for trial in _search(arm, trials_per_arm, luck)]
    for arm in ARMS:
        best = max(
            (trial for trial in trials if trial.arm == arm and trial.state is TrialState.COMPLETED),
            key=lambda trial: trial.summary["best_val_accuracy"],
        )
        trials += [_retrain(best, number, luck) for number in range(seeds)]
    fields: dict[str, Any] = {
        "sweep_id": "optimizers-20261126-031500-9f3a",
        "name": "optimizers",
        "project": "cifar10",
        "state": "completed",
        "goal_metric": "val_accuracy",
        "goal": "maximize",
        "compare": "optimizer",
        "arms": ARMS,
        "searched": ("batch_size", "initializer", "optimizer", "lr"),
        "manifest": {"packages": {"torch": "2.14.1", "ray": "2.60.0", "mlflow": "3.17.2"}, "seed": 0},
        "sweep_file": "name: optimizers\nmethod: random\ncompare: optimizer\n",
        "trials": tuple(trials),
        "seconds": 5_412.0,
    }
    return SweepTable(**{**fields, **changes})


def _search(arm: str, number: int, luck: random.Random) -> list[TrialRow]:
    drawn = [_draw(arm, index, luck) for index in range(number)]
    alive, ended = set(range(number)), dict.fromkeys(range(number), NUM_EPOCHS)
    for rung in RUNGS:
        kept = sorted(alive, key=lambda index: -drawn[index][1][rung - 1])[: max(2, len(alive) // 3)]
        ended |= dict.fromkeys(alive - set(kept), rung)
        alive = set(kept)
    rows = []
    for index, (parameters, curve, diverges) in enumerate(drawn):
        state = TrialState.COMPLETED if ended[index] == NUM_EPOCHS else TrialState.EARLY_STOPPED
        reason = "" if state is TrialState.COMPLETED else f"asha: below the best third at epoch {ended[index]}"
        num_epochs = ended[index]
        if diverges:
            state, num_epochs, reason = TrialState.DIVERGED, 1, "train_loss is not finite at epoch 2"
        name = f"{arm}-{index:03d}"
        rows.append(_build_row(name, index, arm, STAGE_SEARCH, state, reason, parameters, curve[:num_epochs]))
    return rows


def _draw(arm: str, number: int, luck: random.Random) -> tuple[dict[str, Value], list[float], bool]:
    low, high = RANGES[arm]
    lr = low ** (1 - (share := luck.random())) * high**share
    parameters: dict[str, Value] = {
        "dataset": "cifar10",
        "model": "fastcnn",
        "optimizer": arm,
        "lr": lr,
        "batch_size": luck.choice(BATCH_SIZES),
        "initializer": luck.choice(INITIALIZERS),
        "epochs": NUM_EPOCHS,
        "seed": number,
    }
    return parameters, _train(parameters, luck), lr > 8 * BEST_LR[arm]


def _train(parameters: dict[str, Value], luck: random.Random) -> list[float]:
    arm, lr = str(parameters["optimizer"]), float(str(parameters["lr"]))
    decades = math.log10(lr / BEST_LR[arm])
    gain = GAIN[parameters["batch_size"]] + GAIN[parameters["initializer"]]  # type: ignore[index]
    peak = 0.1 + (PEAK[arm] + gain - 0.1) * math.exp(-(decades**2) / 2.2) + luck.gauss(0, 0.006)
    pace = 1.8 + 0.6 * luck.random()
    return [
        0.1 + (peak - 0.1) * (1 - math.exp(-epoch / pace)) + luck.gauss(0, 0.006) for epoch in range(1, NUM_EPOCHS + 1)
    ]


def _retrain(best: TrialRow, number: int, luck: random.Random) -> TrialRow:
    parameters = {**best.parameters, "seed": 900 + number}
    curve = _train(dict(parameters), luck)
    name = f"{best.arm}-confirm-{number:03d}"
    return _build_row(name, number, best.arm, STAGE_CONFIRM, TrialState.COMPLETED, "", parameters, curve)


def _build_row(
    name: str,
    number: int,
    arm: str,
    stage: str,
    state: TrialState,
    reason: str,
    parameters: dict[str, Value],
    curve: list[float],
) -> TrialRow:
    batch_size, seed = int(str(parameters["batch_size"])), int(str(parameters["seed"]))
    seconds = 4.0 + 96 / batch_size
    by_name = {
        "val_accuracy": curve,
        "train_accuracy": [value + 0.004 * epoch for epoch, value in enumerate(curve)],
        "val_loss": [2.3 * (1 - value) ** 1.1 for value in curve],
        "train_loss": [2.3 * (1 - value) ** 1.15 for value in curve],
        "train_seconds": [seconds] * len(curve),
        "validation_seconds": [0.4] * len(curve),
        "num_samples": [20_000.0] * len(curve),
        "num_steps": [float(20_000 // batch_size)] * len(curve),
        "num_gradient_evaluations": [float(20_000 // batch_size)] * len(curve),
    }
    history = {key: tuple(enumerate(values, start=1)) for key, values in by_name.items()}
    summary = {key: values[-1] for key, values in by_name.items()} | {"best_val_accuracy": max(curve)}
    if stage == STAGE_CONFIRM:
        summary |= {"test_accuracy": max(curve) - 0.006 - 0.002 * math.sin(seed), "test_loss": 0.8}
    start = STARTED + 60 * number
    return TrialRow(
        name, number, arm, stage, state, reason, seed, parameters, history, summary, start, start + seconds * len(curve)
    )
