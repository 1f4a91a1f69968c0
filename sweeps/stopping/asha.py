"""Successive halving without waiting, pure: ASHA that stops, ASHA that pauses and promotes, Hyperband's brackets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, model_validator

from sweeps.space.distributions import Frozen, fault_at
from sweeps.stopping.rule import GO, Rule, Verdict, to_finite


class Asha(Frozen):
    """Successive halving without waiting: at each rung an arm goes on only with its best trials."""

    type: Literal["asha"] = Field(default="asha", description="The rule.")
    min_iter: int = Field(default=1, ge=1, description="Epoch of the first rung.")
    max_iter: int | None = Field(default=None, ge=2, description="Last epoch; null for the epochs of a trial.")
    eta: int = Field(default=3, ge=2, description="One of so many survives a rung; the ratio of rungs too.")

    @model_validator(mode="after")
    def _check_order(self) -> Asha:
        _check_order(self.min_iter, self.max_iter)
        return self

    def rungs(self, num_epochs: int) -> tuple[int, ...]:
        """The epochs at which trials are judged."""
        return rung_epochs(self.min_iter, self.max_iter or num_epochs, self.eta)


class AshaPromotion(Frozen):
    """The paper's ASHA: trials are paused at a rung, and the best of them go on while new ones still arrive."""

    type: Literal["asha_promotion"] = Field(description="The rule.")
    min_iter: int = Field(default=1, ge=1, description="Epoch of the first rung.")
    max_iter: int | None = Field(default=None, ge=2, description="Last epoch; null for the epochs of a trial.")
    eta: int = Field(default=3, ge=2, description="One of so many is promoted at a rung; the ratio of rungs too.")

    @model_validator(mode="after")
    def _check_order(self) -> AshaPromotion:
        _check_order(self.min_iter, self.max_iter)
        return self

    def rungs(self, num_epochs: int) -> tuple[int, ...]:
        """The epochs at which trials are paused."""
        return rung_epochs(self.min_iter, self.max_iter or num_epochs, self.eta)


class Hyperband(Frozen):
    """W&B's hyperband: judged at the rungs that min_iter, or max_iter and s, give; in several brackets if asked for."""

    type: Literal["hyperband"] = Field(description="The rule.")
    min_iter: int | None = Field(default=None, ge=1, description="Epoch of the first rung.")
    max_iter: int | None = Field(default=None, ge=2, description="Epoch from which s rungs are counted down.")
    s: int | None = Field(default=None, ge=1, description="Rungs below max_iter.")
    eta: int = Field(default=3, ge=2, description="One of so many survives a rung; the ratio of rungs too.")
    strict: bool = Field(
        default=False, description="Whether a trial is stopped as soon as it falls behind at a rung that it has passed."
    )
    brackets: int = Field(
        default=1, ge=1, description="Groups of trials, of which each leaves out one more of the first rungs."
    )

    @model_validator(mode="after")
    def _check_rungs(self) -> Hyperband:
        if self.min_iter is None and self.max_iter is None:
            raise fault_at("min_iter", "missing, or max_iter with s; give one of the two", "max_iter")
        if self.min_iter is not None and self.max_iter is not None:
            raise fault_at("min_iter", "excludes max_iter; keep one of the two", "max_iter")
        if self.max_iter is not None and self.s is None:
            raise fault_at("s", "missing; max_iter needs it: the number of rungs below max_iter", "max_iter")
        if self.min_iter is not None and self.s is not None:
            raise fault_at("s", "belongs to max_iter; remove it, or give max_iter in the place of min_iter", "min_iter")
        return self

    def rungs(self, num_epochs: int) -> tuple[int, ...]:
        """The epochs at which trials of the first bracket are judged."""
        if self.min_iter is not None:
            return rung_epochs(self.min_iter, num_epochs, self.eta)
        assert self.max_iter is not None
        assert self.s is not None
        epochs = {self.max_iter // self.eta**power for power in range(1, self.s + 1)}
        return tuple(sorted(epoch for epoch in epochs if 1 <= epoch < num_epochs))


def _check_order(min_iter: int, max_iter: int | None) -> None:
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

    Source: Li et al. 2020, section 3.1 and algorithm 2. Deviation: the stopping variant (as in Ray Tune and Syne Tune)
    judges a trial once, when it arrives, instead of pausing it until it earns a promotion; the first arrival always
    goes on. A strict one judges it again after every epoch, by all that have arrived at the rungs that it has passed
    (W&B's `strict`).
    """

    epochs: tuple[int, ...]
    eta: int
    name: str = "asha"
    strict: bool = False
    scores: dict[int, dict[int, float]] = field(default_factory=dict)  # rung epoch -> trial -> score, by arrival
    verdicts: dict[int, dict[int, Verdict]] = field(default_factory=dict)  # epoch -> trial -> what was said

    def judge(self, trial: int, epoch: int, score: float) -> Verdict:
        """Records the score if `epoch` is a rung, and ranks it among those that have arrived there."""
        if epoch not in self.epochs and not self.strict:
            return GO
        verdicts = self.verdicts.setdefault(epoch, {})
        if trial not in verdicts:
            if epoch in self.epochs:
                self.scores.setdefault(epoch, {})[trial] = to_finite(score)
            passed = [rung for rung in self.epochs if rung < epoch and trial in self.scores.get(rung, {})]
            judged = [*(passed if self.strict else ()), *(rung for rung in self.epochs if rung == epoch)]
            said = (self._rank(trial, rung) for rung in judged)
            verdicts[trial] = next((verdict for verdict in said if verdict is not GO), GO)
        return verdicts[trial]

    def record_ended(self, trial: int, epoch: int, score: float) -> None:
        """Lets a trial that ended by itself count at the next rung it would have met, if it ended diverged (NaN)."""
        rung = next((rung for rung in self.epochs if rung >= epoch), None)
        if rung is not None and (rung == epoch or not math.isfinite(score)):
            self.judge(trial, rung, score)

    def _rank(self, trial: int, epoch: int) -> Verdict:
        scores = self.scores[epoch]
        score, num_kept = scores[trial], max(1, len(scores) // self.eta)
        if score == -math.inf:
            return Verdict("stop", f"{self.name}: no finite score at epoch {epoch}")
        rank = find_rank(scores, trial)
        if rank <= num_kept:
            return GO
        return Verdict("stop", f"{self.name}: rank {rank} of {len(scores)} at epoch {epoch}, the best {num_kept} go on")


def find_rank(scores: Mapping[int, float], trial: int) -> int:
    """Rank of a trial's score among those that have arrived, from 1; an equal earlier one is ahead.

    Args:
        scores: Trial to score, in the order of arrival.
        trial: One of them.
    """
    score, rank, arrived = scores[trial], 1, False
    for other, value in scores.items():
        arrived = arrived or other == trial
        rank += value > score or (value == score and not arrived)
    return rank


@dataclass
class PromotionRungs(Rule):
    """ASHA as published, for one arm: every trial is paused at a rung, the best 1/eta of all that have arrived go on.

    A trial that is not among the best when it arrives may be later, when more have arrived. Promotion at the highest
    rung comes first.

    Source: Li et al. 2020, algorithm 2 (get_job). Deviation: when no more trials come and none has been trained in
    full, which happens to arms of fewer than eta^(number of rungs) trials, whoever asks lets `best_paused` go on.
    """

    epochs: tuple[int, ...]
    eta: int
    name: str = "asha"
    scores: dict[int, dict[int, float]] = field(default_factory=dict)  # rung epoch -> trial -> score, by arrival
    promoted: dict[int, set[int]] = field(default_factory=dict)  # rung epoch -> trials that have gone on

    def judge(self, trial: int, epoch: int, score: float) -> Verdict:
        """Pauses a trial at a rung; a result beyond a rung says that the trial was promoted there."""
        for rung in self.epochs:
            if rung < epoch and trial in self.scores.get(rung, {}):
                self.promoted.setdefault(rung, set()).add(trial)
        if epoch not in self.epochs:
            return GO
        scores = self.scores.setdefault(epoch, {})
        scores.setdefault(trial, to_finite(score))
        if scores[trial] == -math.inf:
            return Verdict("stop", f"{self.name}: no finite score at epoch {epoch}")
        if trial in self.promoted.get(epoch, ()):
            return GO
        return Verdict("pause", f"{self.name}: waits at epoch {epoch}")

    def record_ended(self, trial: int, epoch: int, score: float) -> None:
        """Lets a trial that ended by itself count at the next rung it would have met, if it ended diverged (NaN)."""
        rung = next((rung for rung in self.epochs if rung >= epoch), None)
        if rung is not None and (rung == epoch or not math.isfinite(score)):
            self.judge(trial, rung, score)
            self.promoted.setdefault(rung, set()).add(trial)  # nothing is left of it to go on

    def next_promoted(self) -> int | None:
        """The best trial that is among the best 1/eta of the highest rung where there is one."""
        for rung in reversed(self.epochs):
            scores, promoted = self.scores.get(rung, {}), self.promoted.get(rung, set())
            best_first = sorted(scores, key=lambda trial: -scores[trial])  # stable: an equal earlier one first
            for trial in best_first[: len(scores) // self.eta]:
                if trial not in promoted and scores[trial] > -math.inf:
                    return trial
        return None

    def best_paused(self) -> int | None:
        """The best of those that wait at the highest rung where any do."""
        for rung in reversed(self.epochs):
            scores, promoted = self.scores.get(rung, {}), self.promoted.get(rung, set())
            waiting = [trial for trial in scores if trial not in promoted and scores[trial] > -math.inf]
            if waiting:
                return max(waiting, key=lambda trial: scores[trial])  # the first of equal ones
        return None

    def promote(self, trial: int) -> None:
        """Takes in that a trial goes on from the last rung that it has reached."""
        self.promoted.setdefault(self._last_rung(trial), set()).add(trial)

    def explain_pause(self, trial: int) -> str:
        """Its rank at the rung where it waits."""
        rung = self._last_rung(trial)
        scores = self.scores[rung]
        rank, num_kept = find_rank(scores, trial), len(scores) // self.eta
        return f"{self.name}: rank {rank} of {len(scores)} at epoch {rung}, the best {num_kept} went on"

    @property
    def pause_epochs(self) -> tuple[int, ...]:
        """The rungs."""
        return self.epochs

    def _last_rung(self, trial: int) -> int:
        return max(rung for rung, scores in self.scores.items() if trial in scores)


class Brackets(Rule):
    """Hyperband's brackets, each with rungs of its own, of which it leaves out one more of the first.

    A bracket with s rungs gets a share of the trials in proportion to eta^s / (s + 1), so that all cost about alike.

    Source: Li et al. 2018, "Hyperband", algorithm 1, with the rungs of ASHA in the place of waiting, as in Li et al.
    2020, section 3.2.

    Args:
        epochs: Rungs of the first bracket.
        eta: One of so many survives a rung.
        num_brackets: How many; each has at least one rung less than the one before, to none.
        strict: As for `Rungs`.
    """

    def __init__(self, epochs: tuple[int, ...], eta: int, num_brackets: int, *, strict: bool = False) -> None:
        count = min(num_brackets, len(epochs) + 1)
        names = ["hyperband"] if count == 1 else [f"hyperband bracket {index + 1}" for index in range(count)]
        self.brackets = tuple(Rungs(epochs[index:], eta, names[index], strict) for index in range(count))
        self._shares = [eta ** len(each.epochs) / (len(each.epochs) + 1) for each in self.brackets]
        self._assigned: list[int] = []

    def bracket(self, trial: int) -> int:
        """Index of the bracket of a trial."""
        while len(self._assigned) <= trial:
            self._assigned.append(assign_next(self._shares, self._assigned))
        return self._assigned[trial]

    def judge(self, trial: int, epoch: int, score: float) -> Verdict:
        """Asks the rungs of the trial's bracket."""
        return self.brackets[self.bracket(trial)].judge(trial, epoch, score)

    def record_ended(self, trial: int, epoch: int, score: float) -> None:
        """Tells the rungs of the trial's bracket."""
        self.brackets[self.bracket(trial)].record_ended(trial, epoch, score)


def assign_next(shares: Sequence[float], assigned: Sequence[int]) -> int:
    """Index of the share that lags most behind when one more is given out; the first of equal ones.

    Args:
        shares: Of any sum.
        assigned: Indices given out so far.
    """
    total = sum(shares)
    lags = [share / total * (len(assigned) + 1) - assigned.count(index) for index, share in enumerate(shares)]
    return lags.index(max(lags))
