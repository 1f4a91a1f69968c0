"""What Ray's loose results of a trial say, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweeps.running.lifecycle import Ending, TrialResult
from sweeps.running.sweep import RunningSweep
from sweeps.space.arms import searched
from sweeps.spec.arms import build_arms
from sweeps.stopping.rules import RULES
from sweeps.trials.ledger import TrialEntry
from tracking.names import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    EPOCH_METRICS,
    HEALTH_PREFIX,
    HESSIAN_LARGEST,
    HESSIAN_SMALLEST,
    SETTING_PREFIX,
    TEST_ACCURACY,
    TEST_LOSS,
    TRIAL_CURVATURE,
    TRIAL_HEALTH,
    TrialState,
)
from trainer.config.changes import apply_changes
from trainer.trainable import CURVATURE, ERROR, HEALTH, STOP_REASON

# Recorded once, when the trial ends: metrics, and words as tags.
_SUMMARY = (BEST_VAL_ACCURACY, BEST_EPOCH, TEST_LOSS, TEST_ACCURACY, HESSIAN_LARGEST, HESSIAN_SMALLEST)
_TAGS = {HEALTH: TRIAL_HEALTH, CURVATURE: TRIAL_CURVATURE}


class ResultReader:
    """Reads results of one sweep's trials.

    Args:
        sweep: Theirs.
    """

    def __init__(self, sweep: RunningSweep) -> None:
        rule = sweep.spec.early_terminate
        changes = rule is not None and RULES[rule.type].changes_settings
        self._changing = {arm.name: searched(arm) for arm in build_arms(sweep.spec)} if changes else {}

    def read(self, entry: TrialEntry, result: Mapping[str, Any]) -> TrialResult:
        """What a result says of an epoch."""
        metrics = {
            name: float(value)
            for name, value in result.items()
            if name in EPOCH_METRICS or name.startswith(HEALTH_PREFIX)
        }
        return TrialResult(
            epoch=result["epoch"],
            metrics=metrics | self._list_settings(entry, result["epoch"]),
            tags={tag: result[key] for key, tag in _TAGS.items() if key in result},
            summary={name: float(result[name]) for name in _SUMMARY if name in result},
            ends=STOP_REASON in result,
        )

    def _list_settings(self, entry: TrialEntry, epoch: int) -> dict[str, float]:
        """The numbers among the searched settings in an epoch, where a rule changes them as training goes on."""
        if entry.arm not in self._changing:
            return {}
        in_force = apply_changes(entry.parameters, epoch - 1)
        numbers = {name: in_force.get(name) for name in self._changing[entry.arm]}
        return {
            f"{SETTING_PREFIX}{name}": float(value)
            for name, value in numbers.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


def classify_end(result: Mapping[str, Any]) -> Ending | None:
    """How the trial ended by itself, by its last result; None if it did not."""
    reported = result.get(STOP_REASON)
    if reported is None:
        return None
    if reported == "failed":
        return Ending(TrialState.FAILED, str(result["failure"]), str(result[ERROR]))
    if reported == "diverged":
        return Ending(TrialState.DIVERGED, f"diverged in epoch {result['epoch']}")
    return Ending(TrialState.COMPLETED, str(reported))
