from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tracking.statistics.intervals import (
    Interval,
    IntervalMethod,
    bca_ends,
    mean_interval,
    share_interval,
    student_interval,
)


def test_few_values_get_students_t_by_hand() -> None:
    interval = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert interval is not None
    assert interval.method is IntervalMethod.STUDENT_T
    assert interval.low == pytest.approx(2 - 4.302653 / math.sqrt(3))  # t of 2 degrees of freedom at 97.5 %
    assert interval.high == pytest.approx(2 + 4.302653 / math.sqrt(3))


def test_an_interval_contains_its_ends() -> None:
    interval = Interval(0.25, 0.5, IntervalMethod.BCA)
    assert 0.25 in interval
    assert 0.5 in interval
    assert 0.51 not in interval


def test_from_20_values_it_is_bca_which_leans_to_the_long_tail() -> None:
    values = np.geomspace(0.01, 10.0, 20)
    interval = mean_interval(values)
    assert interval is not None
    assert interval.method is IntervalMethod.BCA
    assert interval.high - values.mean() > 1.2 * (values.mean() - interval.low)
    assert interval == mean_interval(values)  # the same resamples


def test_differences_keep_students_t() -> None:
    values = np.random.default_rng(1).normal(size=30)
    interval = student_interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval()
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert student_interval(values[:1]) is None


def test_bca_is_efrons_formula() -> None:
    values = np.random.default_rng(2).exponential(size=25)
    means = values[np.random.default_rng(3).integers(0, 25, (200_000, 25))].mean(axis=1)
    bias = stats.norm.ppf((means < values.mean()).mean())
    influence = (values - values.mean()) / 24  # of leaving one out, about the mean
    acceleration = (influence**3).sum() / (6 * (influence**2).sum() ** 1.5)
    for tail, end in zip((0.025, 0.975), bca_ends(values), strict=True):
        z = bias + stats.norm.ppf(tail)
        level = stats.norm.cdf(bias + z / (1 - acceleration * z))
        assert end == pytest.approx(np.quantile(means, level), abs=0.02)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [0.5] * 30])
def test_without_spread_there_is_no_interval(values: list[float]) -> None:
    assert mean_interval(np.array(values)) is None


def test_it_is_cut_at_what_is_possible() -> None:
    interval = mean_interval(np.array([0.9, 0.98, 1.0]), bounds=(0.0, 1.0))
    assert interval is not None
    assert interval.high == 1.0
    assert interval.low > 0.8


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.array([0.5, math.nan]))


@pytest.mark.parametrize(("successes", "number"), [(0, 10), (1, 6), (9, 10), (10, 10), (3, 3)])
def test_a_share_has_the_exact_binomial_interval(successes: int, number: int) -> None:
    interval = share_interval(successes, number)
    exact = stats.binomtest(successes, number).proportion_ci(method="exact")
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high))


def test_half_a_success_lies_between() -> None:
    found = [share_interval(number, 10) for number in (7, 7.5, 8)]
    lows = [interval.low for interval in found if interval]
    assert lows == sorted(lows)
    assert len(set(lows)) == 3


def test_a_share_of_nothing_has_none() -> None:
    assert share_interval(0, 0) is None
    with pytest.raises(ValueError, match="between 0 and 3"):
        share_interval(4, 3)
