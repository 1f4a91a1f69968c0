"""Which arms are retrained with further seeds, and which can no longer win. Pure.

Retrainings come seed by seed over all arms. After each seed from the fourth on, an arm is dropped when another one is
better by more than the noise explains, in two ways at once:

- by a t test with the noise pooled over all arms still in (two-way layout, arms by seeds), corrected for the number of
  pairs (Bonferroni);
- by the paired t test of these two arms, with their own noise.

The first is not fooled by a few seeds that happen to agree. The second protects where arms differ in their noise. An
arm of which a retraining diverged is far noisier than the others, and does not count when two of these are compared.
Each look has its own share of the race's error (`levels.race_look_alpha`). The shares add up to 1 % however many looks
there are, and the verdict at the end takes its level from what the race leaves.

Why not the sign-flip test: with fewer than 6 seeds it cannot reach any level of use. Why not bets on bounded values
(Waudby-Smith and Ramdas 2024): where differences may be as large as 1, those of a few points yield next to nothing in
10 seeds. Why not from the third seed on: where noise has two values, all three differences of two equal arms agree in
up to 2 / 4^3 = 3 % of sweeps, which looks like certainty; all four in 0.8 %.

Equal arms stay in, and share the verdict at the end. The arm with the best mean is never dropped.

Source: elimination by pairwise comparison after each block of a blocked design: Birattari et al. 2002, "A Racing
Algorithm for Configuring Metaheuristics", which repeats a 5 % test. A share of the error for each look instead: Slud
and Wei 1982. The combination is this project's own. Its error is measured in tests/benchmarks/statistics.md, also with
noise that is skewed, has two values, or differs by arm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tracking.ranking import Goal
from tracking.statistics.arms import Outcomes, fill_by_seed
from tracking.statistics.levels import MIN_LOOK_SEEDS, race_look_alpha

if TYPE_CHECKING:
    import numpy.typing as npt

    from tracking.statistics.sign_flips import Matrix


@dataclass(frozen=True)
class DroppedArm:
    """An arm that can no longer win.

    Attributes:
        num_seeds: How many seeds the look was over.
        beaten_by: The arm with the best mean of those that beat it.
        difference: Mean of `beaten_by` minus `arm` over these seeds, in the unit of the metric.
    """

    arm: str
    num_seeds: int
    beaten_by: str
    difference: float


@dataclass(frozen=True)
class RaceStanding:
    """How a race stands.

    Attributes:
        active: The arms to go on with, in the order given. They are trained with all planned seeds, a last one too.
        dropped: The others, in the order of their looks.
        winner: The last arm, once all others were dropped; None while there are two, and where there was only one.
    """

    active: tuple[str, ...]
    dropped: tuple[DroppedArm, ...]

    @property
    def winner(self) -> str | None:
        """The only arm left of several."""
        return self.active[0] if len(self.active) == 1 and self.dropped else None


def run_race(
    outcomes: Mapping[str, Outcomes],
    *,
    num_finished: int,
    num_planned: int,
    worst: float,
    goal: Goal = Goal.MAXIMIZE,
) -> RaceStanding:
    """Which arms go on: the same answer for the same outcomes, so that nothing has to be kept for a resume.

    All looks are taken anew, seed by seed, each with what had come by then. A look is over the seeds that all arms
    have which are in and have 4 at least; an arm with fewer waits. What an arm came to after it was dropped is not
    looked at. No look is taken at the planned number of seeds: that is the verdict's.

    Args:
        outcomes: Arm -> its retrainings, in the unit of the metric; seeds count from 0.
        num_finished: Of the seeds below it, nothing is still to come for any arm still in.
        num_planned: Seeds that an arm gets which is not dropped.
        worst: What a diverged retraining counts as: 0 for an accuracy.
        goal: The direction of the metric.

    Raises:
        ValueError: `worst` is not finite.
    """
    filled = fill_by_seed(outcomes, worst)
    dropped: list[DroppedArm] = []
    looked: list[tuple[list[str], list[int]]] = []
    for num_seeds in range(MIN_LOOK_SEEDS, min(num_finished, num_planned - 1) + 1):
        gone = {each.arm for each in dropped}
        arms, seeds = _find_block({arm: each for arm, each in outcomes.items() if arm not in gone}, num_seeds)
        if len(arms) < 2 or len(seeds) < MIN_LOOK_SEEDS or (arms, seeds) in looked:
            continue
        looked.append((arms, seeds))
        values = goal.sign * np.array([[filled[arm][seed] for seed in seeds] for arm in arms])
        has_diverged = [not all(math.isfinite(outcomes[arm][seed]) for seed in seeds) for arm in arms]
        for loser, by in find_beaten(values, has_diverged, race_look_alpha(len(looked))).items():
            difference = float(goal.sign * (values[by] - values[loser]).mean())
            dropped.append(DroppedArm(arms[loser], len(seeds), arms[by], difference))
    gone = {each.arm for each in dropped}
    return RaceStanding(tuple(arm for arm in outcomes if arm not in gone), tuple(dropped))


def follow_race(
    ended: Mapping[str, Mapping[int, float | None]],
    *,
    num_planned: int,
    worst: float,
    goal: Goal = Goal.MAXIMIZE,
) -> RaceStanding:
    """How the race stands with what has ended: a look is taken once the seeds below it are over for all arms still in.

    Args:
        ended: Arm -> number of the seed, from 0 -> what the retraining came to, in the unit of the metric; NaN where it
            diverged, None where it failed for a reason that says nothing about its settings.
        num_planned: Seeds that an arm gets which is not dropped.
        worst: What a diverged retraining counts as.
        goal: The direction of the metric.
    """
    outcomes = {arm: {seed: value for seed, value in each.items() if value is not None} for arm, each in ended.items()}
    standing = RaceStanding(tuple(ended), ())
    for seed in range(num_planned - 1):
        if not all(seed in ended[arm] for arm in standing.active):
            break
        standing = run_race(outcomes, num_finished=seed + 1, num_planned=num_planned, worst=worst, goal=goal)
    return standing


def _find_block(outcomes: Mapping[str, Outcomes], num_seeds: int) -> tuple[list[str], list[int]]:
    """The arms with enough of the first seeds, and which of these seeds all of them have."""
    arms = [arm for arm, each in outcomes.items() if sum(seed < num_seeds for seed in each) >= MIN_LOOK_SEEDS]
    return arms, [seed for seed in range(num_seeds) if all(seed in outcomes[arm] for arm in arms)]


def find_beaten(values: Matrix, has_diverged: Sequence[bool], alpha: float) -> Mapping[int, int]:
    """One look: the row of each arm that is beaten -> the row with the best mean of those that beat it.

    Args:
        values: Shape (arms, seeds), at least two of each, the more the better; one column is one seed.
        has_diverged: Of each arm, whether one of these retrainings diverged.
        alpha: The chance that is accepted that any of several equal arms is called beaten, above 0.
    """
    num_arms, num_seeds = values.shape
    corrected = alpha / math.comb(num_arms, 2)
    is_sound = ~np.array(has_diverged)
    pooled = np.full((num_arms, num_arms), _pooled_hurdle(values, corrected))
    pooled[np.ix_(is_sound, is_sound)] = _pooled_hurdle(values[is_sound], corrected)
    own = critical_t(num_seeds - 1, alpha) * (values[:, None] - values[None]).std(axis=2, ddof=1)
    means = values.mean(axis=1)
    leads = math.sqrt(num_seeds) * (means[:, None] - means[None])  # of the row over the column
    beats: npt.NDArray[np.bool_] = (leads > 0) & (leads >= pooled) & (leads >= own)
    order: Sequence[int] = np.argsort(-means, kind="stable").tolist()
    return {loser: next(by for by in order if beats[by, loser]) for loser in order if beats[:, loser].any()}


def _pooled_hurdle(values: Matrix, alpha: float) -> float:
    """What the root of the number of seeds times a difference has to reach; 0 for fewer than two arms."""
    num_arms, num_seeds = values.shape
    if num_arms < 2:
        return 0.0
    residuals = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    freedom = (num_arms - 1) * (num_seeds - 1)
    return critical_t(freedom, alpha) * math.sqrt(2 * float((residuals**2).sum()) / freedom)


@cache
def critical_t(freedom: int, alpha: float) -> float:
    """How many standard errors a t statistic of equal arms exceeds, on either side, with probability `alpha`."""
    from scipy import stats

    return float(stats.t.isf(alpha / 2, freedom))
