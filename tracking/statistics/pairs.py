"""What retrainings say about one arm beside another. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tracking.ranking import Goal
from tracking.statistics.intervals import Interval, share_interval, student_interval
from tracking.statistics.sign_flips import sign_flip_test
from tracking.statistics.verdict import Verdict

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector

MEANINGFUL = 0.75


@dataclass(frozen=True)
class Pair:
    """One arm beside another, over the seeds that both were trained with.

    Attributes:
        difference: Mean of `arm` minus `other`, in the unit of the metric; `sd` of these differences, None for one.
        interval: For the mean difference, of this pair alone; None for one seed, and for equal differences.
        p_value: Of the sign-flip test of this pair alone, two-sided.
        p_adjusted: Corrected for all pairs that the race left; None where it dropped one of the two.
        p_holm: Holm's correction over the pairs to the best arm; shown, not judged by (see `adjusted_p_values`).
        p_equivalence: Of two one-sided tests that the mean difference lies within the margin.
        win_share: How often `arm` was better with the same seed, ties as half: the estimate of P(A > B).
        win_interval: For that probability.
        num_more_seeds: To be added for a verdict; 0 where there is one, None where no number would do (`power`).
        by_race: The race dropped one of them, which is the verdict.
    """

    arm: str
    other: str
    num_seeds: int
    difference: float
    sd: float | None
    interval: Interval | None
    p_value: float
    p_adjusted: float | None
    p_holm: float | None
    p_equivalence: float
    win_share: float
    win_interval: Interval
    verdict: Verdict
    num_more_seeds: int | None
    by_race: bool

    @property
    def is_meaningful(self) -> bool:
        """Whether `arm` wins often enough to matter.

        Source: Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks": the
        probability is at least 0.75, and its interval lies above one half.
        """
        return self.win_share >= MEANINGFUL and self.win_interval.low > 0.5

    @property
    def reversed(self) -> Pair:
        """The same pair, seen from the other arm."""
        wins = self.win_interval
        return replace(
            self,
            arm=self.other,
            other=self.arm,
            difference=-self.difference,
            interval=self.interval and replace(self.interval, low=-self.interval.high, high=-self.interval.low),
            win_share=1 - self.win_share,
            win_interval=replace(wins, low=1 - wins.high, high=1 - wins.low),
            verdict=self.verdict.reversed,
        )


def measure_pair(arm: str, other: str, differences: Vector, goal: Goal, margin: float) -> Pair:
    """What is known of a pair by itself, before it is judged with the others.

    Args:
        arm: The arm that the differences favour.
        other: The arm beside it.
        differences: `arm` minus `other`, shape (n,), n at least 1, in the unit of the metric.
        goal: The direction of the metric.
        margin: The largest difference that does not matter, above 0.

    Raises:
        ValueError: There is no difference.
    """
    better = goal.sign * differences
    wins = float((better > 0).sum() + (better == 0).sum() / 2)
    win_interval = share_interval(wins, len(differences))
    if win_interval is None:
        raise ValueError(f"{arm} and {other} have no seed in common")
    return Pair(
        arm=arm,
        other=other,
        num_seeds=len(differences),
        difference=float(differences.mean()),
        sd=float(differences.std(ddof=1)) if len(differences) > 1 else None,
        interval=student_interval(differences),
        p_value=sign_flip_test(differences),
        p_adjusted=None,
        p_holm=None,
        p_equivalence=equivalence_test(differences, margin),
        win_share=wins / len(differences),
        win_interval=win_interval,
        verdict=Verdict.NOT_ENOUGH_SEEDS,
        num_more_seeds=0,
        by_race=False,
    )


def equivalence_test(differences: Vector, margin: float) -> float:
    """The p-value of the null hypothesis that a mean difference is the margin or more, on either side.

    Args:
        differences: Shape (n,), in the unit of the metric.
        margin: Above 0, in the same unit.

    Source: Schuirmann 1987, the larger p-value of two one-sided tests, here by sign flips.
    """
    return max(sign_flip_test(differences + margin, "greater"), sign_flip_test(differences - margin, "less"))
