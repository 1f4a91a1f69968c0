from __future__ import annotations

import math

import pytest

from tracking.statistics.edges import SearchedRange, Side, find_edge

LR = SearchedRange(1e-4, 1.0, is_log=True, least=0.0, least_open=True)


@pytest.mark.parametrize("value", [1e-3, 0.01, 0.3])
def test_inside_the_range_nothing_is_wrong(value: float) -> None:
    assert find_edge("lr", value, LR) is None


def test_a_high_learning_rate_asks_for_higher_ones() -> None:
    alarm = find_edge("lr", 0.5, LR)
    assert alarm is not None
    assert (alarm.parameter, alarm.value, alarm.side) == ("lr", 0.5, Side.HIGH)
    assert alarm.position == pytest.approx((math.log10(0.5) + 4) / 4)
    assert (alarm.low, alarm.high) == (1e-4, 10.0)  # half of four decades would be two: one is the most


def test_a_narrow_range_on_a_logarithm_is_widened_by_half() -> None:
    alarm = find_edge("lr", 0.95, SearchedRange(0.1, 1.0, is_log=True))
    assert alarm is not None
    assert (alarm.low, alarm.high) == (0.1, 3.2)  # half a decade


def test_a_low_learning_rate_asks_for_lower_ones() -> None:
    alarm = find_edge("lr", 2e-4, LR)
    assert alarm is not None
    assert (alarm.side, alarm.low, alarm.high) == (Side.LOW, 1e-5, 1.0)


def test_the_outer_tenth_is_the_edge() -> None:
    linear = SearchedRange(0.0, 1.0, least=-1.0, most=2.0)
    assert find_edge("x", 0.1, linear) is not None
    assert find_edge("x", 0.11, linear) is None
    assert find_edge("x", 0.9, linear) is not None
    assert find_edge("x", 0.89, linear) is None
    assert find_edge("x", 0.15, linear, share=0.2) is not None


def test_a_limit_is_not_crossed() -> None:
    alarm = find_edge("dropout", 0.59, SearchedRange(0.1, 0.6, least=0.0, most=0.7))
    assert alarm is not None
    assert alarm.high == 0.7
    assert find_edge("dropout", 0.0, SearchedRange(0.0, 0.6, least=0.0, most=1.0)) is None


def test_an_open_limit_is_approached() -> None:
    alarm = find_edge("momentum", 0.98, SearchedRange(0.5, 0.98, least=0.0, most=1.0, most_open=True))
    assert alarm is not None
    assert alarm.high == pytest.approx(0.99)


def test_whole_numbers_stay_whole() -> None:
    alarm = find_edge("layers", 3.0, SearchedRange(2, 3, least=1, step=1))
    assert alarm is not None
    assert (alarm.low, alarm.high) == (2, 4)
    alarm = find_edge("width", 16.0, SearchedRange(16, 256, is_log=True, least=1, step=1))
    assert alarm is not None
    assert (alarm.low, alarm.high) == (4, 256)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_range_has_two_ends(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="two ends"):
        SearchedRange(low, high)


def test_a_logarithm_needs_positive_ends() -> None:
    with pytest.raises(ValueError, match="above 0"):
        SearchedRange(0.0, 1.0, is_log=True)


def test_a_range_of_multiples_is_widened_by_one_of_them_at_least_or_not_at_all() -> None:
    alarm = find_edge("batch_size", 128, SearchedRange(32, 128, is_log=True, least=1, step=32))
    assert alarm is not None
    assert (alarm.low, alarm.high) == (32, 256)
    assert find_edge("batch_size", 32, SearchedRange(32, 128, is_log=True, least=1, step=32)) is None
    alarm = find_edge("dropout", 0.45, SearchedRange(0.1, 0.45, least=0, most=1, step=0.05))
    assert alarm is not None
    assert alarm.high == 0.65
