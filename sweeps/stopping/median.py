"""The median stopping rule: pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from sweeps.stopping.ranked import RankedScores
from sweeps.stopping.rule import CONTINUE, Decision, Rule, RuleSection, to_finite


class Median(RuleSection):
    """Stops a trial whose best score so far is behind the median of the others' running means."""

    type: Literal["median"] = Field(description="The rule.")
    min_iter: int = Field(default=1, ge=1, description="Epoch of the first decision.")
    min_trials: int = Field(default=3, ge=1, description="Other trials that must have reached the epoch.")

    @property
    def judges_every_epoch(self) -> bool:
        """It has no rungs."""
        return True


@dataclass
class MedianRule(Rule):
    """Stops a trial whose best score so far is behind the running means, to the same epoch, of half the others.

    Source: Golovin et al. 2017, "Google Vizier", section 3.2.1. Deviation: of a trial that is level with the median, a
    field of equal ones say, those that came first go on.
    """

    min_iter: int
    min_trials: int
    means: dict[int, RankedScores] = field(default_factory=dict)  # epoch -> the means so far of those that reached it
    best: dict[int, float] = field(default_factory=dict)  # trial -> best score so far
    running: dict[int, tuple[int, float]] = field(default_factory=dict)  # trial -> results so far, and their mean
    decisions: dict[tuple[int, int], Decision] = field(default_factory=dict)  # (trial, epoch) -> what was said

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:  # noqa: ARG002
        """Records the trial's running mean, and compares its best score with those of the others."""
        key = (trial, epoch)
        if key not in self.decisions:
            self.best[trial] = max(to_finite(score), self.best.get(trial, -math.inf))
            means = self.means.setdefault(epoch, RankedScores())
            count, before = self.running.get(trial, (0, 0.0))
            mean = before + (to_finite(score) - before) / (count + 1) if math.isfinite(before) else -math.inf
            self.running[trial] = count + 1, mean
            means.add(trial, mean)
            self.decisions[key] = self._compare(trial, epoch)
        return self.decisions[key]

    def record_ended(self, trial: int, epoch: int, score: float, best: float | None = None) -> None:
        """Lets the last epoch of a trial that ended by itself count for the others."""
        self.judge(trial, epoch, score, best)

    def _compare(self, trial: int, epoch: int) -> Decision:
        best, means = self.best[trial], self.means[epoch]
        num_others = len(means) - 1  # all of them came earlier
        if epoch < self.min_iter or num_others < self.min_trials:
            return CONTINUE
        if best == -math.inf:
            return Decision("stop", f"median: no finite score by epoch {epoch}")
        num_ahead = means.count_from(best) - (means[trial] >= best)
        if 2 * num_ahead <= num_others:
            return CONTINUE
        return Decision("stop", f"median: {num_ahead} of {num_others} others are ahead at epoch {epoch}")
