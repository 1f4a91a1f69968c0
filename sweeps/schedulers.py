"""When to stop a trial early: pure rung rules, one set of rungs per arm, and the thin Ray scheduler around them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.budgets import find_shortfall
from sweeps.ledger import is_better
from sweeps.state import RunningSweep
from tracking.names import STAGE_SEARCH
from trainer.trainable import REPORTED_AT_END, parse_trial

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

    from sweeps.spec import Asha


def rung_epochs(min_iter: int, max_iter: int, eta: int) -> tuple[int, ...]:
    """The epochs at which a trial is judged: min_iter * eta^k below max_iter.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2.
    """
    epochs: list[int] = []
    epoch = min_iter
    while epoch < max_iter:
        epochs.append(epoch)
        epoch *= eta
    return tuple(epochs)


@dataclass
class Rungs:
    """ASHA, stopping variant, for one arm: a trial goes on past a rung while it is among the rung's best 1/eta.

    Scores are "larger is better". NaN and infinities count as the worst score. Equal scores are ranked by arrival, the
    earlier first, so that a field of equal trials (all at chance level, say) does not run to its end. A rung is written
    once per trial and only by a result of exactly that epoch, so a trial replayed after a resume changes nothing.

    Source: Li et al. 2020, section 3.1 and algorithm 2. Deviation: the stopping variant (as in Ray Tune and Syne Tune)
    judges a trial once, when it arrives, instead of pausing it until it earns a promotion; the first arrival always
    goes on.
    """

    epochs: tuple[int, ...]
    eta: int
    scores: dict[int, dict[str, float]] = field(default_factory=dict)  # rung epoch -> trial id -> score, by arrival
    verdicts: dict[int, dict[str, str]] = field(default_factory=dict)  # rung epoch -> trial id -> "" or why it stops

    def judge(self, trial_id: str, epoch: int, score: float) -> str:
        """Records the score if `epoch` is a rung; "" if the trial goes on, else why it stops."""
        if epoch not in self.epochs:
            return ""
        scores = self.scores.setdefault(epoch, {})
        verdicts = self.verdicts.setdefault(epoch, {})
        if trial_id not in verdicts:
            scores[trial_id] = score if math.isfinite(score) else -math.inf
            verdicts[trial_id] = self._verdict(scores, trial_id, epoch)
        return verdicts[trial_id]

    def record_ended(self, trial_id: str, epoch: int, score: float) -> None:
        """Lets a trial that ended by itself count at the next rung it would have met, if it ended diverged (NaN)."""
        rung = next((rung for rung in self.epochs if rung >= epoch), None)
        if rung is not None and (rung == epoch or not math.isfinite(score)):
            self.judge(trial_id, rung, score)

    def _verdict(self, scores: dict[str, float], trial_id: str, epoch: int) -> str:
        score = scores[trial_id]
        num_kept = max(1, len(scores) // self.eta)
        rank = sum(other >= score for other in scores.values())  # arrivals so far; an equal earlier one is ahead
        if score == -math.inf:
            return f"asha: no finite score at epoch {epoch}"
        if rank <= num_kept:
            return ""
        return f"asha: rank {rank} of {len(scores)} at epoch {epoch}, the best {num_kept} go on"


class ArmRungs:
    """The rungs of every arm; arms never compete with each other at a rung."""

    def __init__(self, arms: tuple[str, ...], asha: Asha | None, num_epochs: int) -> None:
        max_iter = num_epochs if asha is None or asha.max_iter is None else asha.max_iter
        epochs = () if asha is None else rung_epochs(asha.min_iter, max_iter, asha.eta)
        self._rungs = {arm: Rungs(epochs, 1 if asha is None else asha.eta) for arm in arms}

    def __getitem__(self, arm: str) -> Rungs:
        return self._rungs[arm]


class ArmScheduler(FIFOScheduler):  # type: ignore[misc]  # Ray ships no types
    """Ray's side of early stopping: asks the trial's own arm's rungs, and ends search trials after the time budget."""

    def __init__(self, sweep: RunningSweep) -> None:
        super().__init__()
        self._sweep = sweep
        self._score_name = sweep.spec.metric.name

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002
        """Decides on a result that did not end the trial by itself."""
        request = parse_trial(trial.config)
        if request.stage != STAGE_SEARCH:
            return str(TrialScheduler.CONTINUE)
        score = self._sweep.sign * result[self._score_name]
        reason = self._sweep.rungs[request.arm].judge(request.trial_id, result["epoch"], score)
        entry = self._sweep.ledger.entries[request.trial_id]
        new, goal = result[self._score_name], self._sweep.spec.metric.goal  # Tune tells the ledger after the scheduler
        best = new if is_better(new, entry.best_score, goal) else entry.best_score
        reason = reason or find_shortfall(self._sweep.spec, result["epoch"], best)
        limit = self._sweep.spec.budget.trial_hours
        if not reason and limit is not None and entry.train_seconds >= 3600 * limit:
            reason = "budget: trial_hours"
        reason = reason or self._sweep.search_end(request.arm)
        if not reason:
            return str(TrialScheduler.CONTINUE)
        entry.stop_reason = reason
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:  # noqa: ARG002
        """Lets a trial that ended on a rung, or diverged before one, count there."""
        request = parse_trial(trial.config)
        reported = result.get(REPORTED_AT_END)
        if request.stage == STAGE_SEARCH and reported not in (None, "failed"):
            score = math.nan if reported == "diverged" else self._sweep.sign * result[self._score_name]
            self._sweep.rungs[request.arm].record_ended(request.trial_id, result["epoch"], score)
