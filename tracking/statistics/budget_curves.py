"""What a search of a given size would have found: from its trials in other orders. Pure.

The orders of a search's trials are shuffled. This is what a search that draws at random comes to. Trials of a searcher
that learns, such as TPE, are not exchangeable: their curve says what was to be found among what it tried.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracking.ranking import Goal

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector
    from tracking.statistics.sign_flips import Matrix

NUM_SHUFFLES = 1000
NUM_RESAMPLES = 100  # of the trials themselves, each with NUM_SHUFFLES / 10 shuffles
NUM_BUDGETS = 50
BAND = (0.1, 0.9)


@dataclass(frozen=True, eq=False)
class ArmTrials:
    """The search trials of one arm.

    Attributes:
        values: What each came to, shape (n,); NaN for one that diverged or failed: it costs, and is never the best.
        costs: What each cost, shape (n,), in one unit for all arms: 1 for trials, else epochs or seconds.

    Raises:
        ValueError: The two differ in shape, or a cost is negative or not finite.
    """

    values: Vector
    costs: Vector

    def __post_init__(self) -> None:
        if self.values.shape != self.costs.shape:
            raise ValueError(f"{len(self.values)} values have {len(self.costs)} costs")
        if not (np.isfinite(self.costs).all() and (self.costs >= 0).all()):
            raise ValueError("costs must be finite and at least 0")


@dataclass(frozen=True, eq=False)
class Curve:
    """A quantity at each budget, with a band.

    Attributes:
        budgets: Shape (b,), in the unit of the costs; `mid`, `low` and `high` likewise, in the quantity's own unit.
    """

    budgets: Vector
    mid: Vector
    low: Vector
    high: Vector


def list_budgets(arms: Mapping[str, ArmTrials]) -> Vector:
    """Budgets at which all arms can be compared, shape (b,): empty where there are none.

    They go from what the costliest trial of all took, with which every order has ended a trial, to what the arm with
    the smallest total took. At most 50 of them, and whole numbers where all costs are.
    """
    spent = [trials.costs for trials in arms.values()]
    if not spent or any(len(costs) == 0 for costs in spent):
        return np.empty(0)
    first, last = max(costs.max() for costs in spent), min(costs.sum() for costs in spent)
    if first > last or last == 0:
        return np.empty(0)
    budgets = np.linspace(first, last, NUM_BUDGETS)
    if all((costs == np.round(costs)).all() for costs in spent):
        budgets = np.unique(np.round(budgets))
    return np.unique(budgets)


def expected_best(
    trials: ArmTrials, budgets: Vector, goal: Goal = Goal.MAXIMIZE, num_shuffles: int = NUM_SHUFFLES, seed: int = 0
) -> Curve:
    """The mean best value of a search with each budget, and the band of 80 % of the orders.

    Where an order has only trials without a value so far, the worst value of all trials stands for its best.

    Args:
        trials: Of one arm, with at least one finite value.
        budgets: Shape (b,), none below the cost of the costliest trial; `list_budgets` has some.
        goal: The direction of the metric.
        num_shuffles: How many orders are tried.
        seed: Of the orders.

    Raises:
        ValueError: No trial has a value, or a budget is below the costliest trial.

    Source: Dodge et al. 2019, "Show Your Work", section 3, here without replacement and for unequal costs.
    """
    finite = goal.sign * trials.values[np.isfinite(trials.values)]
    if len(finite) == 0:
        raise ValueError("no trial has a value")
    found = _best_so_far(trials, budgets, goal, num_shuffles, np.random.default_rng(seed))
    found = goal.sign * np.maximum(found, finite.min())
    low, high = np.quantile(found, BAND, axis=0)
    return Curve(budgets, found.mean(axis=0), low, high)


def chance_of_best(
    arms: Mapping[str, ArmTrials],
    budgets: Vector,
    goal: Goal = Goal.MAXIMIZE,
    num_shuffles: int = NUM_SHUFFLES,
    seed: int = 0,
) -> dict[str, Curve]:
    """How likely each arm has the best trial of all, when every arm is given the same budget.

    Arms that share the best value share the chance. The band is where 80 % of the chances lie when the trials
    themselves are drawn anew from those that there are: it says how much hangs on single trials.

    Args:
        arms: Arm -> its trials, at least one each.
        budgets: As of `expected_best`.
        goal: The direction of the metric.
        num_shuffles: How many orders are tried.
        seed: Of the orders.

    Raises:
        ValueError: An arm has no trial, or a budget is below the costliest trial.

    Source: Sivaprasad et al. 2020, "Optimizer Benchmarking Needs to Account for Hyperparameter Tuning";
    the band by the bootstrap.
    """
    luck = np.random.default_rng(seed)
    mid = _share_best(arms, budgets, goal, num_shuffles, luck)
    drawn = np.array(
        [
            _share_best(_draw_trials(arms, luck), budgets, goal, math.ceil(num_shuffles / 10), luck)
            for _ in range(NUM_RESAMPLES)
        ]
    )
    low, high = np.quantile(drawn, BAND, axis=0)
    return {arm: Curve(budgets, mid[row], low[row], high[row]) for row, arm in enumerate(arms)}


def _draw_trials(arms: Mapping[str, ArmTrials], luck: np.random.Generator) -> dict[str, ArmTrials]:
    """As many trials of each arm, drawn with replacement."""
    chosen = {arm: luck.integers(0, len(trials.values), len(trials.values)) for arm, trials in arms.items()}
    return {arm: ArmTrials(trials.values[chosen[arm]], trials.costs[chosen[arm]]) for arm, trials in arms.items()}


def _share_best(
    arms: Mapping[str, ArmTrials], budgets: Vector, goal: Goal, num_shuffles: int, luck: np.random.Generator
) -> Matrix:
    """The chance of each arm at each budget, shape (arms, budgets)."""
    found = np.stack([_best_so_far(trials, budgets, goal, num_shuffles, luck) for trials in arms.values()])
    is_best = (found == found.max(axis=0)) & np.isfinite(found)
    shares: Matrix = (is_best / np.maximum(is_best.sum(axis=0), 1)).mean(axis=1)
    return shares


def _best_so_far(
    trials: ArmTrials, budgets: Vector, goal: Goal, num_shuffles: int, luck: np.random.Generator
) -> Matrix:
    """The best value that each order has after each budget, shape (orders, budgets); more is better, -inf for none."""
    number = len(trials.values)
    if number == 0 or (len(budgets) and budgets.min() < trials.costs.max()):
        raise ValueError("each arm needs a trial, and no budget may lie below the cost of a trial")
    orders = luck.permuted(np.tile(np.arange(number), (num_shuffles, 1)), axis=1)
    signed = np.where(np.isfinite(trials.values), goal.sign * trials.values, -np.inf)
    best = np.maximum.accumulate(signed[orders], axis=1)
    spent = np.cumsum(trials.costs[orders], axis=1)
    limits = budgets * (1 + 1e-12)  # the sum of all costs depends on their order by rounding
    last = np.stack([np.searchsorted(row, limits, side="right") - 1 for row in spent])
    found: Matrix = np.take_along_axis(best, last, axis=1)
    return found


def best_of_k(values: Vector, k: int) -> float:
    """The mean of the largest of `k` values drawn without replacement.

    Args:
        values: Finite, shape (n,), more is better.
        k: From 1 to n.

    Raises:
        ValueError: `k` is out of range.
    """
    return float(np.sort(values) @ rank_weights(len(values), k))


def rank_weights(number: int, k: int) -> Vector:
    """How likely each of `number` values is the largest of `k` of them, shape (number,), the smallest value first.

    Args:
        number: At least 1.
        k: From 1 to `number`.

    Raises:
        ValueError: `k` is out of range.

    Source: the i-th smallest of n values is the largest of k in C(i-1, k-1) of the C(n, k) draws: Tang et al. 2020,
    "Showing Your Work Doesn't Always Work", section 3.
    """
    if not 1 <= k <= number:
        raise ValueError(f"k must lie between 1 and {number}, not {k}")
    return np.array([math.comb(rank, k - 1) / math.comb(number, k) for rank in range(number)])
