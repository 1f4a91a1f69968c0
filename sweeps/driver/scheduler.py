"""Ray's side of early stopping: a thin scheduler around the arms' rules and the budgets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.running.budgets import find_shortfall
from sweeps.running.sweep import RunningSweep
from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_SEARCH
from trainer.trainable import REPORTED_AT_END, parse_trial

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class ArmScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray ships no types
    """Asks the rule of the trial's own arm, and ends search trials that have used up a budget.

    A pause is, for Tune, the end of a trial: the searcher proposes it again, with its checkpoints, when it has earned
    to go on.
    """

    def __init__(self, sweep: RunningSweep) -> None:
        super().__init__()
        self._sweep = sweep
        self._score_name = sweep.spec.metric.name

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Decides on a result that did not end the trial by itself."""
        request = parse_trial(trial.config)
        if request.stage != STAGE_SEARCH:
            return str(TrialScheduler.CONTINUE)
        entry = self._sweep.ledger.entries[request.trial_id]
        score = self._sweep.goal.sign * result[self._score_name]
        decision = self._sweep.rules[request.arm].judge(request.number, result["epoch"], score)
        stopped = decision.reason if decision.action == "stop" else ""
        entry.stop_reason = stopped or self._find_limit(entry, result)
        entry.pausing = decision.action == "pause" and not entry.stop_reason
        return str(TrialScheduler.STOP if entry.stop_reason or entry.pausing else TrialScheduler.CONTINUE)

    def _find_limit(self, entry: TrialEntry, result: dict[str, Any]) -> str:
        """Why the trial stops whatever its rule says; "" if it does not."""
        spec, new = self._sweep.spec, result[self._score_name]
        # Tune tells the ledger after the scheduler
        best = new if self._sweep.goal.beats(new, entry.best_score) else entry.best_score
        if shortfall := find_shortfall(spec, result["epoch"], best):
            return shortfall
        limit = spec.budget.trial_hours
        if limit is not None and entry.train_seconds >= 3600 * limit:
            return "budget: trial_hours"
        return self._sweep.search_end(entry.arm)

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:  # noqa: ARG002
        """Lets a trial that ended on a rung, or diverged before one, count there."""
        request = parse_trial(trial.config)
        reported = result.get(REPORTED_AT_END)
        if request.stage == STAGE_SEARCH and reported not in (None, "failed"):
            score = math.nan if reported == "diverged" else self._sweep.goal.sign * result[self._score_name]
            self._sweep.rules[request.arm].record_ended(request.number, result["epoch"], score)
