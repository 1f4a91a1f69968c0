from __future__ import annotations

import math

import pytest

from tracking.statistics.arms import fill_diverged, summarize_arm


def test_mean_and_spread_by_hand() -> None:
    summary = summarize_arm({2: 0.6, 0: 0.5, 1: 0.7}, worst=0.0)
    assert summary is not None
    assert summary.mean == pytest.approx(0.6)
    assert summary.sd == pytest.approx(0.1)
    assert (summary.num_seeds, summary.num_diverged) == (3, 0)
    assert summary.interval is not None
    assert summary.interval.low == pytest.approx(0.6 - 4.302653 * 0.1 / math.sqrt(3))


@pytest.mark.parametrize("diverged", [math.nan, math.inf, -math.inf])
def test_a_diverged_retraining_counts_as_the_worst_value(diverged: float) -> None:
    summary = summarize_arm({0: 0.8, 1: diverged}, worst=0.1)
    assert summary is not None
    assert summary.mean == pytest.approx(0.45)
    assert (summary.num_seeds, summary.num_diverged) == (2, 1)


def test_one_seed_has_a_mean_and_nothing_else() -> None:
    summary = summarize_arm({3: 0.8}, worst=0.0)
    assert summary is not None
    assert (summary.mean, summary.sd, summary.interval) == (0.8, None, None)


def test_equal_values_have_no_interval() -> None:
    summary = summarize_arm(dict.fromkeys(range(5), 0.8), worst=0.0)
    assert summary is not None
    assert (summary.sd, summary.interval) == (0.0, None)


def test_an_arm_that_always_diverges_is_as_bad_as_can_be() -> None:
    summary = summarize_arm({0: math.nan, 1: math.nan}, worst=0.0)
    assert summary is not None
    assert (summary.mean, summary.num_diverged) == (0.0, 2)


def test_no_seed_no_summary() -> None:
    assert summarize_arm({}, worst=0.0) is None


def test_values_come_by_rising_seed() -> None:
    assert fill_diverged({5: 0.5, 1: math.nan, 3: 0.3}, 0.0).tolist() == [0.0, 0.3, 0.5]


def test_the_worst_value_is_a_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        summarize_arm({0: 0.5}, worst=math.nan)
