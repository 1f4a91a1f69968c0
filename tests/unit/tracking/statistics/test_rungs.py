from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tracking.statistics.rungs import correlate_rung, count_survivors


def test_rank_correlation_by_hand() -> None:
    found = correlate_rung(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.7, 0.6, 0.9]))
    assert found is not None
    assert found.correlation == pytest.approx(1 - 6 * 2 / (4 * 15))  # two neighbours have changed places
    assert found.num_trials == 4
    assert not found.is_doubtful
    half = 1.959964 * math.sqrt(1 + 0.8**2 / 2)
    assert (found.low, found.high) == pytest.approx(
        (math.tanh(math.atanh(0.8) - half), math.tanh(math.atanh(0.8) + half))
    )


def test_it_is_scipys_with_ties() -> None:
    luck = np.random.default_rng(0)
    first = luck.normal(size=30).round(1)
    last = (first + luck.normal(size=30)).round(1)
    found = correlate_rung(first, last)
    assert found is not None
    assert found.correlation == pytest.approx(stats.spearmanr(first, last).statistic)
    assert found.low < found.correlation < found.high


def test_curves_that_cross_are_doubtful() -> None:
    found = correlate_rung(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0.9, 0.8, 0.7, 0.6, 0.5]))
    assert found is not None
    assert found.correlation == pytest.approx(-1.0)
    assert found.is_doubtful
    assert -1 <= found.low <= found.high <= 1


def test_trials_without_an_end_do_not_count() -> None:
    first, last = np.array([0.1, 0.2, 0.3, 0.4, 0.9]), np.array([0.1, 0.2, 0.3, 0.4, math.nan])
    found = correlate_rung(first, last)
    assert found is not None
    assert found.num_trials == 4


@pytest.mark.parametrize(
    ("first", "last"),
    [([], []), ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), ([0.5] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])],
)
def test_too_little_to_say(first: list[float], last: list[float]) -> None:
    assert correlate_rung(np.array(first), np.array(last)) is None


def test_the_interval_holds_its_confidence() -> None:
    luck, held, truth = np.random.default_rng(1), 0, 6 / math.pi * math.asin(0.8 / 2)  # Spearman's of Pearson's 0.8
    for _ in range(500):
        first, noise = luck.normal(size=(2, 20))
        found = correlate_rung(first, 0.8 * first + 0.6 * noise)
        held += found is not None and found.low <= truth <= found.high
    assert 0.92 <= held / 500 <= 0.98


def test_survivors_went_beyond_the_rung() -> None:
    assert count_survivors(np.array([1, 1, 3, 9, 9, 2]), np.array([1, 3, 9])) == (4, 2, 0)
