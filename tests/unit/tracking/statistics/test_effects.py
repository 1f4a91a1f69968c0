from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tracking.ranking import Goal
from tracking.statistics.effects import Cells, MarginalEffect, find_reversals, jackknife_variance, marginal_effect


def draw(means: dict[str, dict[int, float]], sd: float = 0.01, number: int = 9, luck: int = 0) -> Cells:
    generator = np.random.default_rng(luck)
    return {
        arm: {level: generator.normal(mean, sd, number) for level, mean in row.items()} for arm, row in means.items()
    }


def list_clear(effect: MarginalEffect) -> list[object]:
    return [each.level for each in effect.levels if each.is_clear]


def test_the_jackknife_of_a_mean_is_its_variance() -> None:
    values = np.random.default_rng(0).normal(size=7)
    assert jackknife_variance(values, 1) == pytest.approx(values.var(ddof=1) / 7)


def test_two_levels_by_hand() -> None:
    cells: Cells = {"sgd": {32: np.array([0.5, 0.6, 0.7]), 64: np.array([0.6, 0.8, 1.0])}}
    found = marginal_effect(cells)
    assert found is not None
    assert (found.num_draws, found.arms) == (1, ("sgd",))
    best, other = found.levels
    assert (best.level, other.level) == (64, 32)
    assert (best.best, other.best) == pytest.approx((0.8, 0.6))
    assert (best.effect, other.effect) == pytest.approx((0.1, -0.1))
    error = math.sqrt((0.2**2 / 3 + 0.1**2 / 3) / 4)
    assert best.interval is not None
    assert best.interval.high - best.effect == pytest.approx(4.302653 * error)
    assert list_clear(found) == []


def test_a_level_is_judged_by_its_tuned_learning_rate() -> None:
    """The large batch does badly at most rates and best at its own: a mean over rates would hide that."""
    small = np.array([0.70, 0.69, 0.70, 0.68, 0.69, 0.70, 0.69, 0.70, 0.69])
    large = np.array([0.10, 0.75, 0.10, 0.76, 0.10, 0.74, 0.75, 0.10, 0.76])
    found = marginal_effect({"sgd": {32: small, 256: large}})
    assert large.mean() < small.mean()
    assert found is not None
    assert found.num_draws == 3
    assert found.levels[0].level == 256


def test_arms_are_averaged() -> None:
    found = marginal_effect(draw({"sgd": {32: 0.7, 64: 0.8}, "adam": {32: 0.6, 64: 0.9}}, sd=1e-6))
    assert found is not None
    assert found.levels[0].effect == pytest.approx((0.05 + 0.15) / 2, abs=1e-4)
    assert found.levels[0].num_trials == 18
    assert list_clear(found) == [64, 32]


def test_more_arms_narrow_the_interval_by_hand() -> None:
    cells: Cells = {
        "sgd": {32: np.array([0.5, 0.6, 0.7]), 64: np.array([0.6, 0.8, 1.0])},
        "adam": {32: np.array([0.1, 0.4, 0.7]), 64: np.array([0.5, 0.5, 0.8])},
    }
    found = marginal_effect(cells)
    variances = [values.var(ddof=1) / 3 for row in cells.values() for values in row.values()]
    assert found is not None
    assert found.levels[0].interval is not None
    half = (found.levels[0].interval.high - found.levels[0].interval.low) / 2
    assert half == pytest.approx(4.302653 * math.sqrt(sum(variances) / 4) / 2)


def test_levels_with_few_trials_and_arms_with_one_level_are_left_out() -> None:
    cells = draw({"sgd": {32: 0.7, 64: 0.8, 128: 0.9}, "lbfgs": {2048: 0.5}})
    cells = {**cells, "sgd": {**cells["sgd"], 128: np.array([0.9, 0.9])}}
    found = marginal_effect(cells)
    assert found is not None
    assert found.arms == ("sgd",)
    assert [each.level for each in found.levels] == [64, 32]


@pytest.mark.parametrize("cells", [{}, {"a": {32: np.ones(9)}}, {"a": {32: np.ones(2), 64: np.ones(2)}}])
def test_too_little_to_say(cells: Cells) -> None:
    assert marginal_effect(cells) is None
    assert find_reversals({**cells, "b": {32: np.ones(9)}}) == ()


def test_diverged_trials_count_as_the_worst() -> None:
    found = marginal_effect({"a": {1: np.array([0.5, 0.6, math.nan]), 2: np.array([0.5, 0.6, 0.7])}})
    assert found is not None
    assert found.levels[1].best == pytest.approx((0.5 + 0.6 + 0.5) / 3)
    nothing = marginal_effect({"a": {1: np.full(3, math.nan), 2: np.full(3, math.inf)}})
    assert nothing is not None
    assert [each.interval for each in nothing.levels] == [None, None]


def test_of_losses_the_lower_is_best() -> None:
    found = marginal_effect(draw({"a": {1: 0.5, 2: 0.9}}, sd=0.01), Goal.MINIMIZE)
    assert found is not None
    assert (found.levels[0].level, found.levels[0].effect) == (1, pytest.approx(-0.2, abs=0.02))
    assert found.levels[0].best == pytest.approx(0.5, abs=0.03)


def test_equal_levels_differ_only_as_often_as_allowed() -> None:
    alarms = 0
    for luck in range(300):
        found = marginal_effect(draw({"a": {1: 0.5, 2: 0.5}, "b": {1: 0.4, 2: 0.4}}, luck=luck))
        assert found is not None
        alarms += bool(list_clear(found))
    assert alarms <= 300 * 0.05 + 3 * math.sqrt(300 * 0.05 * 0.95)


def test_a_reversal_is_named_with_its_levels() -> None:
    cells = draw({"sgd": {32: 0.9, 64: 0.85, 128: 0.7}, "adam": {32: 0.8, 64: 0.85, 128: 0.8}})
    (found,) = find_reversals(cells)
    assert (found.arm, found.other, found.level, found.other_level) == ("sgd", "adam", 32, 128)
    assert found.difference == pytest.approx(0.1, abs=0.02)
    assert found.other_difference == pytest.approx(-0.1, abs=0.02)
    assert found.p_value < 0.001


def test_the_p_value_of_a_reversal_by_hand() -> None:
    luck = np.random.default_rng(3)
    means = {"a": (0.9, 0.5, 0.7), "b": (0.6, 0.7, 0.7), "c": (0.1, 0.1, 0.1)}
    cells: Cells = {
        arm: {level: luck.normal(mean, 0.05, 5) for level, mean in enumerate(row)} for arm, row in means.items()
    }
    above = stats.ttest_ind(cells["a"][0], cells["b"][0]).statistic  # of equal numbers, as if noise were not pooled
    below = stats.ttest_ind(cells["b"][1], cells["a"][1]).statistic
    alone = max(stats.t.sf(above, 4), stats.t.sf(below, 4))
    found = next(each for each in find_reversals(cells, alpha=1.0) if (each.arm, each.other) == ("a", "b"))
    assert found.p_value == pytest.approx(alone * 3 * 3)  # three levels, three pairs of arms


def test_an_order_that_holds_everywhere_is_no_reversal() -> None:
    assert find_reversals(draw({"sgd": {32: 0.9, 128: 0.81}, "adam": {32: 0.8, 128: 0.8}})) == ()
    level = {"sgd": {32: 0.9, 128: 0.8}, "adam": {32: 0.8, 128: 0.8}}  # one difference is certain, the other is none
    named = sum(bool(find_reversals(draw(level, luck=luck))) for luck in range(300))
    assert named <= 300 * 0.05 + 3 * math.sqrt(300 * 0.05 * 0.95)


def test_losses_reverse_too() -> None:
    cells = draw({"sgd": {32: 0.9, 128: 0.7}, "adam": {32: 0.8, 128: 0.8}})
    (found,) = find_reversals(cells, Goal.MINIMIZE)
    assert (found.level, found.other_level) == (128, 32)
    assert found.difference == pytest.approx(-0.1, abs=0.02)


def test_noise_does_not_reverse() -> None:
    same = {32: 0.8, 64: 0.8, 128: 0.8}
    named = sum(
        bool(find_reversals(draw({"a": same, "b": same, "c": same, "d": same}, luck=luck))) for luck in range(60)
    )
    assert named <= 3


def test_differences_without_noise_are_certain() -> None:
    cells: Cells = {
        "a": {1: np.full(3, 0.9), 2: np.full(3, 0.1)},
        "b": {1: np.full(3, 0.5), 2: np.full(3, 0.5)},
    }
    (found,) = find_reversals(cells)
    assert found.p_value < 1e-9
    assert find_reversals({"a": cells["b"], "b": cells["b"]}) == ()
