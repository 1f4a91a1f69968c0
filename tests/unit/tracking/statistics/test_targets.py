from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tracking.statistics.targets import TargetTimes, time_to_target


def reach(costs: list[float], reached: list[bool]) -> TargetTimes:
    return time_to_target(np.array(costs), np.array(reached, dtype=bool))


def test_without_misses_it_is_the_median() -> None:
    times = reach([3.0, 1.0, 2.0, 5.0, 4.0], [True] * 5)
    assert (times.median, times.num_reached, times.num_trials) == (3.0, 5, 5)
    assert times.shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_misses_count_by_hand() -> None:
    times = reach([1.0, 2.0, 2.0, 3.0, 4.0], [True, True, False, True, False])
    # 4/5 are left after 1; 4/5 * 3/4 after 2, of whom one was censored; 3/5 * 1/2 after 3
    assert times.costs.tolist() == [1.0, 2.0, 3.0]
    assert times.shares == pytest.approx([0.2, 0.4, 0.7])
    assert times.median == 3.0


def test_trials_that_never_get_there_keep_the_median_open() -> None:
    times = reach([1.0, 2.0, math.inf, math.inf, math.inf], [True, True, False, False, False])
    assert (times.median, times.high) == (None, None)
    assert times.shares[-1] == pytest.approx(0.4)
    assert reach([math.inf, math.inf], [False, False]).median is None


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined at some observations:RuntimeWarning")
def test_it_is_scipys_kaplan_meier_curve() -> None:
    luck = np.random.default_rng(0)
    costs, reached = luck.exponential(5.0, 40).round(1) + 0.1, luck.random(40) < 0.7
    survival = stats.ecdf(stats.CensoredData(costs[reached], right=costs[~reached])).sf
    times = time_to_target(costs, reached)
    assert times.shares == pytest.approx(1 - survival.evaluate(times.costs))
    band = survival.confidence_interval(method="log-log")
    inner = times.costs[:-1]
    lower, upper = band.low.evaluate(inner), band.high.evaluate(inner)
    assert times.low == inner[lower <= 0.5][0]
    assert times.high == inner[upper <= 0.5][0]
    assert times.low is not None
    assert times.median is not None
    assert times.high is not None
    assert times.low <= times.median <= times.high


def test_the_interval_contains_the_median_as_often_as_it_says() -> None:
    luck, held = np.random.default_rng(1), 0
    for _ in range(400):
        times, ends = luck.exponential(1.0, 40), luck.uniform(0.5, 4.0, 40)
        found = time_to_target(np.minimum(times, ends), times <= ends)
        low, high = found.low or 0.0, math.inf if found.high is None else found.high
        held += low <= math.log(2) <= high
    assert 0.92 <= held / 400 <= 0.99


def test_no_trials() -> None:
    times = reach([], [])
    assert (times.num_trials, times.median, times.costs.tolist()) == (0, None, [])


def test_one_trial_settles_little() -> None:
    times = reach([4.0], [True])
    assert (times.median, times.high) == (4.0, None)


@pytest.mark.parametrize(
    ("costs", "reached"), [([0.0], [True]), ([math.nan], [False]), ([math.inf], [True]), ([1.0, 2.0], [True])]
)
def test_impossible_times_are_refused(costs: list[float], reached: list[bool]) -> None:
    with pytest.raises(ValueError, match="cost above 0"):
        reach(costs, reached)
