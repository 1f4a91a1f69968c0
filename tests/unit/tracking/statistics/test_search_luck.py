from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from tracking.statistics.levels import MIN_WINNER_SEEDS, MIN_WINNER_TRIALS, verdict_alpha
from tracking.statistics.search_luck import exceedance_p_value, judge_searches, least_ahead


@pytest.mark.parametrize(("num_trials", "num_other", "num_ahead"), [(3, 3, 2), (4, 3, 1), (2, 5, 2), (4, 4, 4)])
def test_the_p_value_is_the_share_of_all_ways_to_deal_out_the_trials(
    num_trials: int, num_other: int, num_ahead: int
) -> None:
    """The best `num_ahead` ranks are 0, 1, ...: in how many of all deals does one arm hold them all?"""
    deals = list(combinations(range(num_trials + num_other), num_trials))
    share = sum(set(range(num_ahead)) <= set(deal) for deal in deals) / len(deals)
    assert exceedance_p_value(num_ahead, num_trials, num_other) == pytest.approx(min(1.0, 2 * share))


@pytest.mark.parametrize("numbers", [(-1, 3, 3), (4, 3, 3), (0, 0, 3), (0, 3, 0)])
def test_numbers_that_cannot_be_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be ahead"):
        exceedance_p_value(*numbers)


@pytest.mark.parametrize(("number", "alpha", "least"), [(3, 0.05, None), (4, 0.05, 4), (12, 0.04, 5), (12, 0.005, 7)])
def test_how_many_show_it(number: int, alpha: float, least: int | None) -> None:
    assert least_ahead(number, number, alpha) == least
    assert least_ahead(0, number, alpha) is None


@pytest.mark.parametrize("raced", [False, True])
def test_the_least_numbers_that_can_name_a_winner(raced: bool) -> None:
    alpha = verdict_alpha(raced=raced)
    assert least_ahead(MIN_WINNER_TRIALS, MIN_WINNER_TRIALS, alpha) == MIN_WINNER_TRIALS
    assert least_ahead(MIN_WINNER_TRIALS - 1, MIN_WINNER_TRIALS - 1, alpha) is None
    assert 2 / 2**MIN_WINNER_SEEDS <= alpha < 2 / 2 ** (MIN_WINNER_SEEDS - 1)


def test_the_best_arm_is_ahead_by_itself_where_it_shows_beside_every_other() -> None:
    low = [0.1 * number for number in range(12)]
    five = [*(2.0 + number for number in range(5)), *low[:7]]
    found = judge_searches({"a": five, "b": low, "c": low}, "a", frozenset(), 0.04)
    assert found["a", "b"].num_ahead == found["a", "c"].num_ahead == 5
    assert found["a", "b"].num_needed == 5
    assert not found["a", "b"].is_luck
    assert found["b", "c"].is_luck
    four = judge_searches({"a": five[1:], "b": low, "c": low}, "a", frozenset(), 0.04)
    assert four["a", "b"].is_luck
    assert four["a", "b"].p_value == exceedance_p_value(4, 11, 12)


def test_an_arm_that_is_not_best_has_to_show_it_over_all_pairs() -> None:
    """Five trials ahead are enough for the best arm of three, and not for another one."""
    low = [0.1 * number for number in range(12)]
    high = [*(2.0 + number for number in range(5)), *low[:7]]
    found = judge_searches({"a": high, "b": high, "c": low}, "a", frozenset(), 0.04)
    assert found["b", "c"].num_ahead == 5
    assert found["b", "c"].is_luck
    assert (found["b", "c"].num_needed, found["b", "c"].num_needed_alone) == (5, 7)
    assert found["a", "b"].is_luck


def test_what_hangs_on_no_luck_needs_no_trials() -> None:
    found = judge_searches({"a": [1.0], "b": [0.0]}, "a", frozenset({("a", "b")}), 0.04)
    assert not found["a", "b"].is_luck
    assert found["b", "a"].is_luck
    assert judge_searches({"a": [1.0], "b": []}, "a", frozenset(), 0.04)["a", "b"].is_luck
    assert judge_searches({"a": [1.0]}, "a", frozenset(), 0.04) == {}


def test_equal_arms_have_a_winner_in_no_more_than_the_level() -> None:
    luck, alarms, number = np.random.default_rng(0), 0, 1000
    for _ in range(number):
        values = {arm: luck.normal(size=12).tolist() for arm in "abcd"}
        best = max(values, key=lambda arm, values=values: max(values[arm]))
        alarms += any(not each.is_luck for each in judge_searches(values, best, frozenset(), 0.04).values())
    assert alarms / number <= 0.04 + 3 * math.sqrt(0.04 * 0.96 / number)
