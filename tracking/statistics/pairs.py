"""Which of two arms is better, for all pairs of a sweep at once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tracking.ranking import Goal
from tracking.statistics.arms import Outcomes, fill_diverged
from tracking.statistics.intervals import CONFIDENCE, Interval, mean_interval, share_interval
from tracking.statistics.power import num_more_seeds
from tracking.statistics.sign_flips import adjusted_p_values, holm, sign_flip_test

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector
    from tracking.statistics.sign_flips import Matrix

MARGIN = 0.005  # half a point of accuracy
MEANINGFUL = 0.75


class Verdict(StrEnum):
    """What retrainings say about one arm beside another."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"
    NOT_ENOUGH_SEEDS = "not enough seeds"

    @property
    def reversed(self) -> Verdict:
        """The verdict on the other arm beside this one."""
        return {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}.get(self, self)


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
        num_more_seeds: How many would be needed to judge; 0 where judged, None where too many (`num_more_seeds`).
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

        Source: Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks", section 4.2: the
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


@dataclass(frozen=True)
class Comparison:
    """All pairs of a sweep.

    Attributes:
        best: The arm with the best mean of those that the race left.
        pairs: Those with a seed in common, the arm that is better on average first.
    """

    best: str
    pairs: tuple[Pair, ...]

    def find(self, arm: str, other: str) -> Pair | None:
        """The pair, seen from `arm`; None where the two have no seed in common."""
        for pair in self.pairs:
            if (pair.arm, pair.other) == (arm, other):
                return pair
            if (pair.arm, pair.other) == (other, arm):
                return pair.reversed
        return None

    def to_best(self) -> tuple[Pair, ...]:
        """The pairs of the best arm, seen from it, in the order of `pairs`."""
        return tuple(
            pair if pair.arm == self.best else pair.reversed
            for pair in self.pairs
            if self.best in (pair.arm, pair.other)
        )

    def winner(self, arms: Collection[str]) -> str | None:
        """The best arm if each other one of `arms` is worse than it, else None."""
        worse = {pair.other for pair in self.to_best() if pair.verdict is Verdict.BETTER}
        others = set(arms) - {self.best}
        return self.best if others and others <= worse else None


def compare_arms(
    outcomes: Mapping[str, Outcomes],
    worst: float,
    *,
    alpha: float,
    goal: Goal = Goal.MAXIMIZE,
    margin: float = MARGIN,
    dropped: Collection[str] = (),
) -> Comparison | None:
    """Every pair of arms that the race left, and the best of them beside each that it dropped; None without any arm.

    A pair is a **tie** when two one-sided tests place the mean difference within `margin`, even if it is not 0: such a
    difference does not matter. Else the arm of the better mean is **better**, when its corrected p-value is at most
    `alpha`. Else there are **not enough seeds**. With fewer than 6 seeds neither is possible at 0.05: better needs
    2 / 2^n <= alpha, a tie 1 / 2^n <= alpha.

    The chance that any arm is wrongly called better or worse is at most `alpha` (`adjusted_p_values`). A tie is wrong
    in at most `alpha` of the pairs whose true difference is the margin or more.

    Args:
        outcomes: Arm -> its retrainings, in the unit of the metric.
        worst: What a diverged retraining counts as: 0 for an accuracy.
        alpha: The error that is accepted (`levels.verdict_alpha`).
        goal: The direction of the metric.
        margin: The largest difference that does not matter, in the unit of the metric; above 0.
        dropped: Arms that the race dropped: each is worse than the best arm, by the race's own error.

    Raises:
        ValueError: `margin` is not above 0, or `worst` not finite.

    Source: Schuirmann 1987 for two one-sided tests; here they are sign-flip tests, which assume no shape of the noise.
    """
    if not margin > 0:
        raise ValueError(f"margin must be above 0, not {margin}")
    values = {
        arm: dict(zip(sorted(each), fill_diverged(each, worst).tolist(), strict=True))
        for arm, each in outcomes.items()
        if each
    }
    left = [arm for arm in values if arm not in dropped]
    if not left:
        return None
    best = max(left, key=lambda arm: goal.sign * float(np.mean(list(values[arm].values()))))
    tried = _find_differences(values, list(combinations(left, 2)), goal)
    raced = _find_differences(values, [(best, arm) for arm in values if arm in dropped], goal)
    return Comparison(best, _judge_pairs(tried, raced, best, goal, alpha, margin))


Differences = Mapping[tuple[str, str], Mapping[int, float]]
"""Two arms, the one with the better mean first -> seed -> first minus second."""


def _find_differences(
    values: Mapping[str, Mapping[int, float]], pairs: Sequence[tuple[str, str]], goal: Goal
) -> Differences:
    """The paired differences of those pairs that have a seed in common."""
    found = {}
    for one, other in pairs:
        shared = sorted(values[one].keys() & values[other].keys())
        differences = {seed: values[one][seed] - values[other][seed] for seed in shared}
        if goal.sign * sum(differences.values()) >= 0:
            found[one, other] = differences
        else:
            found[other, one] = {seed: -value for seed, value in differences.items()}
    return {pair: differences for pair, differences in found.items() if differences}


def _judge_pairs(
    tried: Differences, raced: Differences, best: str, goal: Goal, alpha: float, margin: float
) -> tuple[Pair, ...]:
    adjusted = dict(zip(tried, adjusted_p_values(_build_matrix(list(tried.values()))).tolist(), strict=True))
    of_best = {pair: sign_flip_test(_to_array(tried[pair])) for pair in tried if best in pair}
    corrected = dict(zip(of_best, holm(list(of_best.values())), strict=True))
    level = alpha / max(1, len(of_best))
    measured = [_measure(pair, each, goal, margin) for pair, each in tried.items()]
    judged = [
        _judge(replace(pair, p_adjusted=adjusted[key], p_holm=corrected.get(key)), alpha)
        for key, pair in zip(tried, measured, strict=True)
    ]
    return tuple(
        replace(pair, num_more_seeds=num_more_seeds(_to_array(tried[pair.arm, pair.other]), margin, level))
        if pair.verdict is Verdict.NOT_ENOUGH_SEEDS
        else pair
        for pair in judged
    ) + tuple(_judge_raced(_measure(pair, each, goal, margin), best) for pair, each in raced.items())


def _judge(pair: Pair, alpha: float) -> Pair:
    if pair.p_equivalence <= alpha:
        return replace(pair, verdict=Verdict.TIE)
    found = pair.p_adjusted is not None and pair.p_adjusted <= alpha
    return replace(pair, verdict=Verdict.BETTER if found else Verdict.NOT_ENOUGH_SEEDS)


def _judge_raced(pair: Pair, best: str) -> Pair:
    return replace(pair, verdict=Verdict.BETTER if pair.arm == best else Verdict.WORSE, by_race=True)


def _measure(arms: tuple[str, str], by_seed: Mapping[int, float], goal: Goal, margin: float) -> Pair:
    """Everything about a pair that does not depend on the other pairs; no verdict yet."""
    differences = _to_array(by_seed)
    better = goal.sign * differences
    wins = float((better > 0).sum() + (better == 0).sum() / 2)
    win_interval = share_interval(wins, len(differences))
    if win_interval is None:
        raise AssertionError("a pair has a seed in common")
    return Pair(
        arm=arms[0],
        other=arms[1],
        num_seeds=len(differences),
        difference=float(differences.mean()),
        sd=float(differences.std(ddof=1)) if len(differences) > 1 else None,
        interval=mean_interval(differences, CONFIDENCE),
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


def _to_array(by_seed: Mapping[int, float]) -> Vector:
    return np.array(list(by_seed.values()), dtype=float)


def _build_matrix(rows: Sequence[Mapping[int, float]]) -> Matrix:
    """One row a pair, one column a seed, NaN where a pair lacks the seed."""
    seeds = sorted({seed for row in rows for seed in row})
    return np.array([[row.get(seed, np.nan) for seed in seeds] for row in rows], dtype=float).reshape(
        len(rows), len(seeds)
    )
