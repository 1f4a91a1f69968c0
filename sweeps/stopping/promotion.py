"""ASHA that pauses and promotes: pure."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sweeps.stopping.asha import check_rung_order, rung_epochs
from sweeps.stopping.ranked import RankedScores, RankKey
from sweeps.stopping.rule import CONTINUE, Decision, Rule, RuleSection, to_rung_score


class AshaPromotion(RuleSection):
    """The paper's ASHA: trials pause at a rung, and those with the best scores so far go on as others arrive."""

    remedy: ClassVar[str] = "a smaller eta"
    type: Literal["asha_promotion"] = Field(description="The rule.")
    min_iter: int = Field(default=1, ge=1, description="Epoch of the first rung.")
    max_iter: int | None = Field(default=None, ge=2, description="Last epoch; null for the epochs of a trial.")
    eta: int = Field(default=3, ge=2, description="One of so many is promoted at a rung; the ratio of rungs too.")

    @model_validator(mode="after")
    def _check_order(self) -> AshaPromotion:
        check_rung_order(self.min_iter, self.max_iter)
        return self

    def rungs(self, num_epochs: int) -> tuple[int, ...]:
        """The epochs at which trials are paused."""
        return rung_epochs(self.min_iter, self.max_iter or num_epochs, self.eta)


@dataclass
class PromotionRungs(Rule):
    """ASHA as published, for one arm: every trial is paused at a rung, the best 1/eta of all that have arrived go on.

    A trial that is not among the best when it arrives may be later, when more have arrived. Promotion at the highest
    rung comes first. As in `Rungs`, trials are ranked by the best score that each has had so far.

    Source: Li et al. 2020, algorithm 2 (get_job). Deviation: when no more trials come and none has been trained in
    full, which happens to arms of fewer than eta^(number of rungs) trials, whoever asks lets `best_paused` go on.
    """

    epochs: tuple[int, ...]
    eta: int
    name: str = "asha"
    scores: dict[int, RankedScores] = field(default_factory=dict)  # rung epoch -> what has arrived there
    promoted: dict[int, set[int]] = field(default_factory=dict)  # rung epoch -> trials that have gone on
    _waiting: dict[int, list[tuple[RankKey, int]]] = field(default_factory=dict)  # rung epoch -> others, best first

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
        """Pauses a trial at a rung; a result beyond a rung says that the trial was promoted there."""
        for rung in self.epochs:
            if rung < epoch and trial in self.scores.get(rung, {}):
                self._note_promoted(rung, trial)
        if epoch not in self.epochs:
            return CONTINUE
        scores = self.scores.setdefault(epoch, RankedScores())
        if trial not in scores:
            scores.add(trial, to_rung_score(score, best))
            if scores[trial] > -math.inf:
                insort(self._waiting.setdefault(epoch, []), (scores.key(trial), trial))
        if scores[trial] == -math.inf:
            return Decision("stop", f"{self.name}: no finite score at epoch {epoch}")
        if trial in self.promoted.get(epoch, ()):
            return CONTINUE
        return Decision("pause", f"{self.name}: waits at epoch {epoch}")

    def record_ended(self, trial: int, epoch: int, score: float, best: float | None = None) -> None:
        """Lets a trial that ended by itself count at the next rung it would have met, if it ended diverged (NaN)."""
        rung = next((rung for rung in self.epochs if rung >= epoch), None)
        if rung is not None and (rung == epoch or not math.isfinite(score)):
            self.judge(trial, rung, score, best)
            self._note_promoted(rung, trial)  # nothing is left of it to go on

    def withdraw(self, trial: int) -> None:
        """Lets a trial hold its place where it waited, and go on no more."""
        if any(trial in scores for scores in self.scores.values()):
            self.promote(trial)

    def next_promoted(self) -> int | None:
        """The best trial that is among the best 1/eta of the highest rung where there is one."""
        for rung in reversed(self.epochs):
            trial = self._find_best_waiting(rung)
            if trial is not None and self.scores[rung].find_rank(trial) <= len(self.scores[rung]) // self.eta:
                return trial
        return None

    def best_paused(self) -> int | None:
        """The best of those that wait at the highest rung where any do."""
        found = (self._find_best_waiting(rung) for rung in reversed(self.epochs))
        return next((trial for trial in found if trial is not None), None)

    def _find_best_waiting(self, rung: int) -> int | None:
        waiting = self._waiting.get(rung)
        return waiting[0][1] if waiting else None

    def promote(self, trial: int) -> None:
        """Takes in that a trial goes on from the last rung that it has reached."""
        self._note_promoted(self._last_rung(trial), trial)

    def _note_promoted(self, rung: int, trial: int) -> None:
        promoted = self.promoted.setdefault(rung, set())
        if trial in promoted:
            return
        promoted.add(trial)
        if self.scores[rung][trial] > -math.inf:
            waiting = self._waiting[rung]
            del waiting[bisect_left(waiting, (self.scores[rung].key(trial), trial))]

    def explain_pause(self, trial: int) -> str:
        """Its rank at the rung where it waits."""
        rung = self._last_rung(trial)
        scores = self.scores[rung]
        rank, num_kept = scores.find_rank(trial), len(scores) // self.eta
        return f"{self.name}: rank {rank} of {len(scores)} at epoch {rung}, the best {num_kept} went on"

    @property
    def pause_epochs(self) -> tuple[int, ...]:
        """The rungs."""
        return self.epochs

    def _last_rung(self, trial: int) -> int:
        return max(rung for rung, scores in self.scores.items() if trial in scores)
