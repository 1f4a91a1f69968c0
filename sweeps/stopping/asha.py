"""Successive halving without waiting, pure: ASHA that stops, ASHA that pauses and promotes, Hyperband's brackets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sweeps.reader.model import fault_at
from sweeps.stopping.ranked import RankedScores
from sweeps.stopping.rule import CONTINUE, Decision, Rule, RuleSection, to_rung_score


class Asha(RuleSection):
    """Successive halving without waiting: at each rung only trials with the best scores so far go on."""

    remedy: ClassVar[str] = "a smaller eta"
    type: Literal["asha"] = Field(default="asha", description="The rule.")
    min_iter: int = Field(default=1, ge=1, description="Epoch of the first rung.")
    max_iter: int | None = Field(default=None, ge=2, description="Last epoch; null for the epochs of a trial.")
    eta: int = Field(default=3, ge=2, description="One of so many survives a rung; the ratio of rungs too.")

    @model_validator(mode="after")
    def _check_order(self) -> Asha:
        check_rung_order(self.min_iter, self.max_iter)
        return self

    def rungs(self, num_epochs: int) -> tuple[int, ...]:
        """The epochs at which trials are judged."""
        return rung_epochs(self.min_iter, self.max_iter or num_epochs, self.eta)


def check_rung_order(min_iter: int, max_iter: int | None) -> None:
    """Raises a fault of `min_iter` where the first rung does not lie before the last epoch."""
    if max_iter is not None and min_iter >= max_iter:
        raise fault_at("min_iter", f"{min_iter} must be below max_iter, which is {max_iter}", "max_iter")


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
class Rungs(Rule):
    """ASHA, stopping variant, for one arm: a trial goes on past a rung while it is among the rung's best 1/eta.

    Trials are ranked by the best score that each has had so far, as they are in the end. The score of one epoch is
    noisier: on recorded curves it foretells the end less well, and costs up to 1.5 points (docs/fairness.md).

    Source: Li et al. 2020, section 3.1 and algorithm 2. Deviations: the paper ranks by the score at the rung; and the
    stopping variant (as in Ray Tune and Syne Tune) judges a trial once, when it arrives, instead of pausing it until it
    earns a promotion; the first arrival always goes on. A strict one judges it again after every epoch, by all that
    have arrived at the rungs that it has passed (W&B's `strict`).
    """

    epochs: tuple[int, ...]
    eta: int
    name: str = "asha"
    strict: bool = False
    scores: dict[int, RankedScores] = field(default_factory=dict)  # rung epoch -> what has arrived there
    decisions: dict[int, dict[int, Decision]] = field(default_factory=dict)  # epoch -> trial -> what was said

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
        """Records the score if `epoch` is a rung, and ranks it among those that have arrived there."""
        if epoch not in self.epochs and not self.strict:
            return CONTINUE
        decisions = self.decisions.setdefault(epoch, {})
        if trial not in decisions:
            if epoch in self.epochs:
                self.scores.setdefault(epoch, RankedScores()).add(trial, to_rung_score(score, best))
            passed = [rung for rung in self.epochs if rung < epoch and trial in self.scores.get(rung, {})]
            judged = [*(passed if self.strict else ()), *(rung for rung in self.epochs if rung == epoch)]
            said = (self._rank(trial, rung) for rung in judged)
            decisions[trial] = next((decision for decision in said if decision is not CONTINUE), CONTINUE)
        return decisions[trial]

    def record_ended(self, trial: int, epoch: int, score: float, best: float | None = None) -> None:
        """Lets a trial that ended by itself count at the next rung it would have met, if it ended diverged (NaN)."""
        rung = next((rung for rung in self.epochs if rung >= epoch), None)
        if rung is not None and (rung == epoch or not math.isfinite(score)):
            self.judge(trial, rung, score, best)

    def _rank(self, trial: int, epoch: int) -> Decision:
        scores = self.scores[epoch]
        score, num_kept = scores[trial], max(1, len(scores) // self.eta)
        if score == -math.inf:
            return Decision("stop", f"{self.name}: no finite score at epoch {epoch}")
        rank = scores.find_rank(trial)
        if rank <= num_kept:
            return CONTINUE
        return Decision(
            "stop", f"{self.name}: rank {rank} of {len(scores)} at epoch {epoch}, the best {num_kept} go on"
        )
