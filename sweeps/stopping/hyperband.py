"""Hyperband as W&B has it, with brackets: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sweeps.reader.model import fault_at
from sweeps.stopping.asha import Rungs, rung_epochs
from sweeps.stopping.rule import Decision, Rule, RuleSection


class Hyperband(RuleSection):
    """W&B's hyperband: judged by the best score so far at rungs that min_iter, or max_iter and s, give."""

    remedy: ClassVar[str] = "fewer s or a smaller eta"
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

    @property
    def judges_every_epoch(self) -> bool:
        """A strict one looks at the rungs that a trial has passed after each of its epochs."""
        return self.strict

    def rungs(self, num_epochs: int) -> tuple[int, ...]:
        """The epochs at which trials of the first bracket are judged."""
        if self.min_iter is not None:
            return rung_epochs(self.min_iter, num_epochs, self.eta)
        assert self.max_iter is not None
        assert self.s is not None
        epochs = {self.max_iter // self.eta**power for power in range(1, self.s + 1)}
        return tuple(sorted(epoch for epoch in epochs if 1 <= epoch < num_epochs))


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
        self._assigned: list[int] = []  # bracket of each trial
        self._num_assigned = [0] * count  # of each bracket

    def bracket(self, trial: int) -> int:
        """Index of the bracket of a trial."""
        while len(self._assigned) <= trial:
            index = assign_next(self._shares, self._num_assigned)
            self._assigned.append(index)
            self._num_assigned[index] += 1
        return self._assigned[trial]

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
        """Asks the rungs of the trial's bracket."""
        return self.brackets[self.bracket(trial)].judge(trial, epoch, score, best)

    def record_ended(self, trial: int, epoch: int, score: float, best: float | None = None) -> None:
        """Tells the rungs of the trial's bracket."""
        self.brackets[self.bracket(trial)].record_ended(trial, epoch, score, best)


def assign_next(shares: Sequence[float], num_assigned: Sequence[int]) -> int:
    """Index of the share that lags most behind when one more is given out; the first of equal ones.

    Args:
        shares: Of any sum.
        num_assigned: How often each has been given out.
    """
    total, num = sum(shares), sum(num_assigned) + 1
    lags = [share / total * num - has for share, has in zip(shares, num_assigned, strict=True)]
    return lags.index(max(lags))
