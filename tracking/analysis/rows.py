"""A sweep as flat rows, for spreadsheets and data frames: one per trial, or one per epoch. Pure.

Cells are numbers, texts, booleans, or None where there is nothing; every row has every column, in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tracking.names import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    HESSIAN_LARGEST,
    HESSIAN_SMALLEST,
    STAGE_CONFIRM,
    STAGE_SEARCH,
    STAGE_SELECT,
    STATE_RUNNING,
    TEST_ACCURACY,
    TEST_LOSS,
)
from tracking.table import SweepTable, TrialRow, Value

Row = Mapping[str, Value]

PARAMETER_PREFIX = "param."
METRIC_PREFIX = "metric."
_OF_THE_END = (BEST_EPOCH, BEST_VAL_ACCURACY, HESSIAN_LARGEST, HESSIAN_SMALLEST, TEST_ACCURACY, TEST_LOSS)


def build_trial_rows(table: SweepTable) -> tuple[Row, ...]:
    """One row per trial, retrainings included.

    Columns: who the trial is (`is_retraining` and `retraining_of` say whose settings it trained again), how it ended,
    its best value of the goal metric, test accuracy as a fraction, times in UTC, seconds of training and validation;
    then every setting as `param.NAME` and every last metric as `metric.NAME`.
    """
    parameters = sorted({name for trial in table.trials for name in trial.parameters})
    metrics = sorted({name for trial in table.trials for name in trial.summary})
    return tuple(
        {
            **_build_identity(table, trial),
            "state": str(trial.state or STATE_RUNNING),
            "stop_reason": trial.stop_reason,
            "epochs": trial.num_epochs,
            f"best_{table.goal_metric}": table.value(trial),
            "best_epoch": trial.best_epoch(table.goal_metric, table.goal),
            "test_accuracy": trial.summary.get(TEST_ACCURACY),
            "start_time": _format_time(trial.start_time),
            "end_time": _format_time(trial.end_time),
            "seconds": trial.seconds,
            "link": trial.link,
            **{f"{PARAMETER_PREFIX}{name}": trial.parameters.get(name) for name in parameters},
            **{f"{METRIC_PREFIX}{name}": trial.summary.get(name) for name in metrics},
        }
        for trial in table.trials
    )


def build_epoch_rows(table: SweepTable) -> tuple[Row, ...]:
    """One row per trial and epoch, with what the epoch came to as `metric.NAME` and searched settings as `param.NAME`.

    What is known only at the end of a trial, such as its test accuracy, stands in the rows of trials.
    """
    metrics = sorted({name for trial in table.trials for name in trial.history} - set(_OF_THE_END))
    parameters = sorted(table.searched)
    rows: list[Row] = []
    for trial in table.trials:
        points = {name: dict(trial.history.get(name, ())) for name in metrics}
        fixed = {f"{PARAMETER_PREFIX}{name}": trial.parameters.get(name) for name in parameters}
        rows += [
            {
                **_build_identity(table, trial),
                "epoch": epoch,
                **{f"{METRIC_PREFIX}{name}": points[name].get(epoch) for name in metrics},
                **fixed,
            }
            for epoch in sorted(set().union(*points.values()))
        ]
    return tuple(rows)


def _build_identity(table: SweepTable, trial: TrialRow) -> dict[str, Value]:
    return {
        "sweep_id": table.sweep_id,
        "trial": trial.trial_id,
        "arm": trial.arm,
        "stage": trial.stage,
        "number": trial.number,
        "is_retraining": trial.stage != STAGE_SEARCH,
        "retraining_of": _find_original(table, trial),
        "seed": trial.seed,
    }


def _find_original(table: SweepTable, trial: TrialRow) -> str | None:
    """The search trial that found the settings of a retraining; None for other trials, and for untuned defaults."""
    if trial.stage not in (STAGE_SELECT, STAGE_CONFIRM):
        return None
    found = (each for each in table.select(trial.arm) if each.configuration == trial.configuration)
    return next((each.trial_id for each in found), None)


def _format_time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
