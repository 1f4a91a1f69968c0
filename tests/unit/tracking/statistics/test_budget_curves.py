from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest

from tracking.ranking import Goal
from tracking.statistics.budget_curves import (
    ArmTrials,
    best_of_k,
    chance_of_best,
    expected_best,
    list_budgets,
)


def trials_of(values: list[float], costs: list[float] | None = None) -> ArmTrials:
    return ArmTrials(np.array(values), np.array(costs or [1.0] * len(values)))


def test_the_best_of_k_by_hand() -> None:
    assert best_of_k(np.array([1.0, 2.0, 4.0]), 1) == pytest.approx(7 / 3)
    assert best_of_k(np.array([4.0, 1.0, 2.0]), 2) == pytest.approx((2 + 4 + 4) / 3)
    assert best_of_k(np.array([1.0, 2.0, 4.0]), 3) == 4.0


@pytest.mark.parametrize("k", range(1, 8))
def test_the_best_of_k_over_all_draws(k: int) -> None:
    values = np.random.default_rng(k).normal(size=7)
    expected = np.mean([max(draw) for draw in combinations(values, k)])
    assert best_of_k(values, k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [0, 4])
def test_k_lies_within_the_number_of_values(k: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 3"):
        best_of_k(np.array([1.0, 2.0, 3.0]), k)


def test_shuffles_agree_with_the_closed_form() -> None:
    values = np.random.default_rng(0).uniform(0.3, 0.8, 12)
    curve = expected_best(trials_of(values.tolist()), np.arange(1.0, 13.0), num_shuffles=20_000)
    closed = [best_of_k(values, k) for k in range(1, 13)]
    assert curve.mid == pytest.approx(closed, abs=0.003)
    assert (curve.low <= curve.high).all()
    assert curve.low[-1] == curve.high[-1] == values.max()


def test_dear_trials_take_longer_over_all_orders() -> None:
    values, costs = [0.9, 0.5, 0.7], [3.0, 1.0, 2.0]
    budgets = np.array([3.0, 4.0, 6.0])
    expected = []
    for budget in budgets:
        best = []
        for order in permutations(range(3)):
            spent = np.cumsum([costs[each] for each in order])
            best.append(max(values[each] for each, cost in zip(order, spent, strict=True) if cost <= budget))
        expected.append(np.mean(best))
    curve = expected_best(trials_of(values, costs), budgets, num_shuffles=20_000)
    assert curve.mid == pytest.approx(expected, abs=0.003)


def test_diverged_trials_cost_and_count_as_the_worst() -> None:
    curve = expected_best(trials_of([0.5, 0.7, math.nan]), np.array([1.0, 3.0]), num_shuffles=20_000)
    assert curve.mid == pytest.approx([(0.5 + 0.7 + 0.5) / 3, 0.7], abs=0.003)


def test_of_losses_the_lowest_is_best() -> None:
    curve = expected_best(trials_of([0.5, 0.7]), np.array([1.0, 2.0]), Goal.MINIMIZE, num_shuffles=20_000)
    assert curve.mid == pytest.approx([0.6, 0.5], abs=0.003)


def test_budgets_that_all_arms_have() -> None:
    arms = {"a": trials_of([0.1] * 3, [4.0, 2.0, 2.0]), "b": trials_of([0.1] * 4, [3.0] * 4)}
    assert list_budgets(arms).tolist() == [4, 5, 6, 7, 8]
    assert list_budgets({"a": trials_of([0.1, 0.2])}).tolist() == [1, 2]
    seconds = list_budgets({"a": trials_of([0.1] * 100, [0.5] * 100)})
    assert (len(seconds), seconds[0], seconds[-1]) == (50, 0.5, 50.0)


@pytest.mark.parametrize("arms", [{}, {"a": []}, {"a": [9.0], "b": [1.0, 1.0]}, {"a": [0.0]}])
def test_no_common_budget(arms: dict[str, list[float]]) -> None:
    given = {arm: ArmTrials(np.ones(len(costs)), np.array(costs)) for arm, costs in arms.items()}
    assert list_budgets(given).tolist() == []


def test_the_chance_of_the_best_by_hand() -> None:
    arms = {"a": trials_of([0.9, 0.1]), "b": trials_of([0.5, 0.6])}
    chances = chance_of_best(arms, np.array([1.0, 2.0]), num_shuffles=20_000)
    assert chances["a"].mid == pytest.approx([0.5, 1.0], abs=0.02)
    assert chances["a"].mid + chances["b"].mid == pytest.approx([1.0, 1.0])
    assert chances["a"].low[1] < 1.0  # without its one good trial it would lose


def test_equal_arms_share_the_chance() -> None:
    arms = {name: trials_of([0.5, 0.5]) for name in "abc"}
    chances = chance_of_best(arms, np.array([1.0, 2.0]), num_shuffles=50)
    assert all(curve.mid == pytest.approx([1 / 3, 1 / 3]) for curve in chances.values())


def test_arms_of_diverged_trials_have_no_chance() -> None:
    arms = {"a": trials_of([math.nan]), "b": trials_of([0.1])}
    chances = chance_of_best(arms, np.array([1.0]), num_shuffles=20)
    assert (chances["a"].mid[0], chances["b"].mid[0]) == (0.0, 1.0)
    nobody = chance_of_best({"a": trials_of([math.nan])}, np.array([1.0]), num_shuffles=20)
    assert nobody["a"].mid[0] == 0.0


def test_all_costs_together_are_always_enough() -> None:
    costs = [0.3, 0.2, 0.1]
    assert sum(costs) < sum(costs[::-1])  # by rounding
    assert expected_best(trials_of([0.5, 0.2, 0.3], costs), np.array([sum(costs)])).mid[0] == 0.5


def test_the_same_seed_gives_the_same_curve() -> None:
    trials = trials_of([0.1, 0.5, 0.3])
    one, other = (expected_best(trials, np.array([1.0, 2.0]), seed=3) for _ in range(2))
    assert one.mid.tolist() == other.mid.tolist()


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="no trial has a value"):
        expected_best(trials_of([math.nan]), np.array([1.0]))
    with pytest.raises(ValueError, match="below the cost"):
        expected_best(trials_of([0.5], [3.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="needs a trial"):
        chance_of_best({"a": trials_of([])}, np.array([1.0]))
    with pytest.raises(ValueError, match="2 values have 1 costs"):
        ArmTrials(np.ones(2), np.ones(1))
    with pytest.raises(ValueError, match="at least 0"):
        trials_of([0.5], [-1.0])
