"""All pairs of a sweep, judged together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tracking.ranking import MARGIN, Goal
from tracking.statistics.arms import Outcomes, fill_by_seed
from tracking.statistics.pairs import Pair, measure_pair
from tracking.statistics.power import num_more_seeds
from tracking.statistics.sign_flips import adjusted_p_values, holm
from tracking.statistics.verdict import Verdict

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector
    from tracking.statistics.sign_flips import Matrix


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
    later_alpha: float | None = None,
) -> Comparison | None:
    """Every pair of arms that the race left, and the best of them beside each that it dropped; None without any arm.

    A pair is a **tie** when two one-sided tests place the mean difference within `margin`, even if it is not 0: such a
    difference does not matter. Else the arm of the better mean is **better**, when its corrected p-value is at most
    `alpha`, or when it is the best arm and beats every other one (`is_selected_best`). Else there are **not enough
    seeds**. With few seeds no other verdict is possible: better needs 2 / 2^n <= alpha, so 6 seeds at 0.05, and a tie
    1 / 2^n <= alpha, so 5.

    The chance that any arm is wrongly called better or worse is at most `alpha` (`adjusted_p_values`). A tie is wrong
    in at most `alpha` of the pairs whose true difference is the margin or more.

    Args:
        outcomes: Arm -> its retrainings, in the unit of the metric.
        worst: What a diverged retraining counts as: 0 for an accuracy.
        alpha: The error that is accepted (`levels.verdict_alpha`).
        goal: The direction of the metric.
        margin: The largest difference that does not matter, in the unit of the metric; above 0.
        dropped: Arms that the race dropped: each is worse than the best arm, by the race's own error.
        later_alpha: The error at which seeds that are added would be judged, by which their number is reckoned; None
            for `alpha`.

    Raises:
        ValueError: `margin` is not above 0, or `worst` not finite.

    Source: Schuirmann 1987 for two one-sided tests; here they are sign-flip tests, which assume no shape of the noise.
    """
    if not margin > 0:
        raise ValueError(f"margin must be above 0, not {margin}")
    values = {arm: by_seed for arm, by_seed in fill_by_seed(outcomes, worst).items() if by_seed}
    left = [arm for arm in values if arm not in dropped]
    if not left:
        return None
    best = max(left, key=lambda arm: goal.sign * float(np.mean(list(values[arm].values()))))
    tried = _find_differences(values, list(combinations(left, 2)), goal)
    raced = _find_differences(values, [(best, arm) for arm in values if arm in dropped], goal)
    judged = _judge_all(tried, best, len(left), goal, alpha, margin)
    reckoned = _reckon_seeds(judged, tried, margin, later_alpha or alpha)
    return Comparison(best, (*reckoned, *_judge_dropped(raced, best, goal, margin)))


def compare_with_default(
    tuned: Mapping[str, Outcomes],
    defaults: Mapping[str, Outcomes],
    worst: float,
    *,
    alpha: float,
    goal: Goal = Goal.MAXIMIZE,
    margin: float = MARGIN,
) -> dict[str, Pair]:
    """Each arm's tuned settings beside its untuned defaults, seen from the tuned ones.

    Tuning that is not better than the defaults has found nothing: the range or the budget is at fault. Each pair is a
    question of its own, so that defaults neither take part in the race for the winner nor cost it certainty.

    Args:
        tuned: Arm -> retrainings of its best settings.
        defaults: Arm -> retrainings of its defaults, with the same seeds.
        worst: What a diverged retraining counts as.
        alpha: The error that is accepted for each pair.
        goal: The direction of the metric.
        margin: The largest difference that does not matter, in the unit of the metric; above 0.

    Returns:
        Arm -> its pair, for the arms whose tuned and default settings have a seed in common.

    Raises:
        ValueError: `margin` is not above 0, or `worst` not finite.
    """
    found = {}
    for arm in tuned.keys() & defaults.keys():
        comparison = compare_arms(
            {"tuned": tuned[arm], "default": defaults[arm]}, worst, alpha=alpha, goal=goal, margin=margin
        )
        pair = comparison.find("tuned", "default") if comparison else None
        if pair is not None:
            found[arm] = pair
    return {arm: found[arm] for arm in tuned if arm in found}


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


def _judge_all(tried: Differences, best: str, num_left: int, goal: Goal, alpha: float, margin: float) -> list[Pair]:
    """The pairs of those arms that the race left."""
    measured = {key: measure_pair(*key, _to_array(each), goal, margin) for key, each in tried.items()}
    adjusted = dict(zip(tried, adjusted_p_values(_build_matrix(list(tried.values()))).tolist(), strict=True))
    of_best = {key: pair.p_value for key, pair in measured.items() if best in key}
    corrected = dict(zip(of_best, holm(list(of_best.values())), strict=True))
    leads = len(of_best) == num_left - 1 and all(key[0] == best for key in of_best)
    wins = leads and is_selected_best(list(of_best.values()), alpha)
    return [
        replace(
            pair,
            p_adjusted=adjusted[key],
            p_holm=corrected.get(key),
            verdict=_find_verdict(pair.p_equivalence, adjusted[key] <= alpha or (wins and key in of_best), alpha),
        )
        for key, pair in measured.items()
    ]


def _reckon_seeds(judged: Sequence[Pair], tried: Differences, margin: float, alpha: float) -> list[Pair]:
    """The pairs; those that want more seeds with how many."""
    return [
        replace(pair, num_more_seeds=num_more_seeds(_to_array(tried[pair.arm, pair.other]), margin, alpha))
        if pair.verdict is Verdict.NOT_ENOUGH_SEEDS
        else pair
        for pair in judged
    ]


def _find_verdict(p_equivalence: float, is_better: bool, alpha: float) -> Verdict:
    if p_equivalence <= alpha:
        return Verdict.TIE
    return Verdict.BETTER if is_better else Verdict.NOT_ENOUGH_SEEDS


def _judge_dropped(raced: Differences, best: str, goal: Goal, margin: float) -> list[Pair]:
    """The best arm beside each that the race dropped."""
    pairs = [measure_pair(*key, _to_array(each), goal, margin) for key, each in raced.items()]
    return [
        replace(
            pair,
            by_race=True,
            verdict=Verdict.BETTER if pair.arm == best else Verdict.WORSE,
        )
        for pair in pairs
    ]


def is_selected_best(p_values: Sequence[float], alpha: float) -> bool:
    """Whether the arm with the best mean is better than each of the others, by the tests of its pairs alone.

    No correction is needed although the arm was chosen after looking: the runner-up alone decides, and equal arms are
    the closer to it, the more there are. tests/benchmarks/statistics.md has the error that this and the corrected
    tests have together.

    Args:
        p_values: Two-sided, one for each other arm.
        alpha: The error that is accepted.

    Source: Gutmann and Maymin 1987, "Is the Selected Population the Best?", for arms with noise of the same shape; an
    intersection-union test as in Berger 1982.
    """
    return all(p_value <= alpha for p_value in p_values)


def _to_array(by_seed: Mapping[int, float]) -> Vector:
    return np.array(list(by_seed.values()), dtype=float)


def _build_matrix(rows: Sequence[Mapping[int, float]]) -> Matrix:
    """One row a pair, one column a seed, NaN where a pair lacks the seed."""
    seeds = sorted({seed for row in rows for seed in row})
    return np.array([[row.get(seed, np.nan) for seed in seeds] for row in rows], dtype=float).reshape(
        len(rows), len(seeds)
    )
