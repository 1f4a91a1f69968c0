from __future__ import annotations

import numpy as np
import pytest

from tracking.statistics.power import num_more_seeds, seeds_needed, t_test_power


@pytest.mark.parametrize(("effect", "number"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_the_numbers_of_cohens_tables(effect: float, number: int) -> None:
    assert seeds_needed(1.0, effect, 0.05) == number


def test_power_of_34_pairs_at_half_a_standard_deviation() -> None:
    assert t_test_power(34, 0.5, 0.05) == pytest.approx(0.8078, abs=1e-3)
    assert t_test_power(10, 50.0, 0.05) == 1.0


def test_power_is_what_a_simulation_finds() -> None:
    from scipy import stats

    drawn = np.random.default_rng(0).normal(1.0, 1.0, (20_000, 8))
    found = (stats.ttest_1samp(drawn, 0.0, axis=1).pvalue <= 0.05).mean()
    assert t_test_power(8, 1.0, 0.05) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize(("alpha", "least"), [(0.05, 6), (0.04, 6), (0.03, 7), (0.005, 9)])
def test_never_fewer_than_a_sign_flip_test_needs(alpha: float, least: int) -> None:
    assert 2 / 2**least <= alpha < 2 / 2 ** (least - 1)
    assert seeds_needed(0.001, 0.5, alpha) == least
    assert seeds_needed(0.0, 0.5, alpha) == least


def test_too_many_are_no_advice() -> None:
    assert seeds_needed(1.0, 0.01, 0.05) is None


def test_a_difference_of_nothing_cannot_be_found() -> None:
    with pytest.raises(ValueError, match="above 0"):
        seeds_needed(1.0, 0.0, 0.05)


def test_seeds_to_add_follow_from_the_noise() -> None:
    noise = np.array([1.0, -1.0] * 5)  # standard deviation sqrt(10/9), mean 0: the margin is to be found
    needed = seeds_needed(np.sqrt(10 / 9), 0.5, 0.05)
    assert needed is not None
    assert num_more_seeds(noise, 0.5, 0.05) == needed - 10
    larger = num_more_seeds(noise + 1.0, 0.5, 0.05)
    assert larger is not None
    assert larger < needed - 10  # a larger difference is found sooner


def test_unknown_noise_asks_for_the_least() -> None:
    assert num_more_seeds(np.array([]), 0.005, 0.05) == 6
    assert num_more_seeds(np.array([0.1]), 0.005, 0.05) == 5
    assert num_more_seeds(np.zeros(3), 0.005, 0.05) == 3


def test_a_pair_that_was_not_judged_needs_at_least_one() -> None:
    assert num_more_seeds(np.full(10, 0.1), 0.005, 0.05) == 1
