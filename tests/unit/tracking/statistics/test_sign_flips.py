from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from tracking.statistics.sign_flips import Alternative, adjusted_p_values, holm, sign_flip_test, sign_patterns

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


def test_by_hand() -> None:
    assert sign_flip_test(np.array([1.0, 2.0, 3.0])) == 2 / 8  # only +++ and --- reach a sum of 6
    assert sign_flip_test(np.array([1.0, 2.0, 3.0]), "greater") == 1 / 8
    assert sign_flip_test(np.array([1.0, 2.0, 3.0]), "less") == 1.0
    assert sign_flip_test(np.array([-1.0, 2.0, 3.0])) == 4 / 8  # sums of at least 4: 6, 4, and their mirror images
    assert sign_flip_test(np.array([1.0, 2.0, -3.0])) == 1.0


def test_six_seeds_are_the_least_that_reach_5_percent() -> None:
    assert sign_flip_test(np.full(5, 0.1)) == 2 / 32
    assert sign_flip_test(np.full(6, 0.1)) == 2 / 64


@pytest.mark.parametrize("differences", [[], [0.0], [0.0, 0.0, 0.0]])
def test_no_difference_is_no_evidence(differences: list[float]) -> None:
    assert sign_flip_test(np.array(differences)) == 1.0


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("number", [2, 7, 12])
def test_it_is_scipys_exact_test(number: int, alternative: Alternative) -> None:
    differences = np.random.default_rng(number).normal(0.5, 1.0, number)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    assert sign_flip_test(differences, alternative) == pytest.approx(min(1.0, expected.pvalue))


def test_many_seeds_are_tried_by_random_patterns_the_same_each_time() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1.0, 20)
    found = sign_flip_test(differences, seed=1)
    assert found == sign_flip_test(differences, seed=1)
    assert found == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue, rel=0.2)
    assert sign_flip_test(np.ones(40)) >= 1 / 2**16  # never 0


def test_patterns_begin_with_what_was_observed() -> None:
    assert sign_patterns(3).shape == (8, 3)
    assert len({tuple(row) for row in sign_patterns(3)}) == 8
    assert sign_patterns(20).shape == (2**16, 20)
    assert (sign_patterns(3)[0] == 1).all()
    assert (sign_patterns(20)[0] == 1).all()


def test_one_pair_needs_no_correction() -> None:
    differences = np.random.default_rng(4).normal(0.6, 1.0, 9)
    assert adjusted_p_values(differences[None])[0] == pytest.approx(sign_flip_test(differences))


def test_step_down_by_brute_force() -> None:
    values = np.random.default_rng(5).normal(0.0, 1.0, (3, 6)) + np.array([[2.0], [0.5], [0.0]])
    rows = np.stack([values[0] - values[1], values[0] - values[2], values[1] - values[2]])

    def statistics(signs: tuple[int, ...]) -> np.ndarray:
        flipped = rows * np.array(signs)
        return np.abs(stats.ttest_1samp(flipped, 0.0, axis=1).statistic)

    observed = statistics((1,) * 6)
    order = np.argsort(-observed)
    table = np.array([statistics(signs) for signs in product((1, -1), repeat=6)])
    expected, previous = np.ones(3), 0.0
    for rank, pair in enumerate(order):
        previous = max(previous, (table[:, order[rank:]].max(axis=1) >= observed[pair] - 1e-9).mean())
        expected[pair] = previous
    assert adjusted_p_values(rows) == pytest.approx(expected)


def test_corrected_values_are_not_below_those_of_the_pairs_alone() -> None:
    rows = np.random.default_rng(6).normal(0.5, 1.0, (10, 8))
    alone = np.array([sign_flip_test(row) for row in rows])
    assert (adjusted_p_values(rows) >= alone - 1e-12).all()


def test_a_larger_statistic_never_has_the_larger_p_value() -> None:
    for luck in range(40):
        rows = np.random.default_rng(luck).normal(0.5, 1.0, (6, 6))
        order = np.argsort(-np.abs(stats.ttest_1samp(rows, 0.0, axis=1).statistic))
        assert (np.diff(adjusted_p_values(rows)[order]) >= 0).all()


def test_three_arms_and_six_seeds_can_be_told_apart() -> None:
    noise = np.random.default_rng(7).normal(0.0, 0.01, (3, 6))
    first, second, third = noise + np.array([[0.9], [0.7], [0.5]])
    adjusted = adjusted_p_values(np.stack([first - second, first - third, second - third]))
    assert adjusted == pytest.approx(np.full(3, 2 / 64))
    assert min(holm([2 / 64] * 3)) > 0.05


def test_seeds_that_a_pair_lacks_do_not_count() -> None:
    full = np.random.default_rng(8).normal(0.8, 1.0, 6)
    padded = np.append(full, [np.nan, np.nan])
    assert adjusted_p_values(padded[None])[0] == pytest.approx(sign_flip_test(full))


def test_pairs_without_evidence() -> None:
    rows = np.array([[0.0, 0.0, 0.0], [0.3, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    assert adjusted_p_values(rows).tolist() == [1.0, 1.0, 1.0]
    assert adjusted_p_values(np.empty((0, 0))).tolist() == []


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()
