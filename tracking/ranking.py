"""Which of two scores, and which of two trials, is better. Pure.

What is retrained, what the report shows and what is registered all ask here, so that they cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

from tracking.names import TrialState

MARGIN = 0.005  # half a point of accuracy: a smaller difference does not matter
CLOSE_LOSS = 0.02  # a difference in a loss that does not matter, relative: one of a point of accuracy is about that

RankKey = tuple[bool, int, float, int]


class Goal(StrEnum):
    """The direction in which a metric gets better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> float:
        """The factor that turns a score into one of which more is better."""
        return 1.0 if self is Goal.MAXIMIZE else -1.0

    def best(self, values: Iterable[float]) -> float:
        """The best of some finite values.

        Raises:
            ValueError: There is no value.
        """
        return max(values) if self is Goal.MAXIMIZE else min(values)

    def worst(self, values: Iterable[float]) -> float:
        """The worst of some finite values.

        Raises:
            ValueError: There is no value.
        """
        return min(values) if self is Goal.MAXIMIZE else max(values)

    def beats(self, score: float, than: float) -> bool:
        """Whether a score is better than another; a finite one beats NaN and infinity, those beat nothing."""
        if not math.isfinite(score):
            return False
        return not math.isfinite(than) or self.sign * score > self.sign * than

    def reaches(self, score: float, target: float) -> bool:
        """Whether a score is at least as good as a target; NaN never is."""
        return self.sign * score >= self.sign * target


def rank_key(state: TrialState | None, num_epochs: int, score: float | None, number: int, goal: Goal) -> RankKey | None:
    """The key that sorts the search trials of an arm, best first; None for a trial that has no rank.

    Completed trials come before those that were stopped early, since learning curves cross. Stopped ones are ordered by
    the epochs that they reached. Then the better score comes first, and of equal scores the lower number: not the order
    in which processes happened to start, which differs after a resume.

    Args:
        state: How the trial ended; None while it runs.
        num_epochs: Epochs that it reached.
        score: Its best score of the goal metric; None or not finite for none.
        number: Its number within the arm.
        goal: The direction of the metric.
    """
    if score is None or not math.isfinite(score) or state not in (TrialState.COMPLETED, TrialState.EARLY_STOPPED):
        return None
    completed = state is TrialState.COMPLETED
    return (not completed, 0 if completed else -num_epochs, -goal.sign * score, number)
