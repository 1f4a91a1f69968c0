from __future__ import annotations

import numpy as np
import pytest

from tracking.ranking import Goal
from tracking.statistics.pairs import equivalence_test, measure_pair
from tracking.statistics.verdict import Verdict


def test_equivalence_by_hand() -> None:
    assert equivalence_test(np.array([0.001, -0.001, 0.002, 0.0, 0.001]), 0.005) == 1 / 32
    assert equivalence_test(np.array([0.001, -0.001, 0.002, 0.0, 0.001]), 0.0005) > 0.5
    assert equivalence_test(np.full(8, 0.01), 0.005) == 1.0


def test_what_is_measured_by_hand() -> None:
    pair = measure_pair("a", "b", np.array([0.02, 0.01, 0.0, 0.03]), Goal.MAXIMIZE, 0.005)
    assert pair.difference == pytest.approx(0.015)
    assert pair.win_share == (3 + 0.5) / 4
    assert pair.p_value == 4 / 16  # +++ and ---, each with either sign of the zero
    assert pair.verdict is Verdict.NOT_ENOUGH_SEEDS


def test_lower_losses_are_wins() -> None:
    assert measure_pair("a", "b", np.array([-0.1, -0.2]), Goal.MINIMIZE, 0.005).win_share == 1.0


def test_a_pair_needs_a_seed() -> None:
    with pytest.raises(ValueError, match="a and b have no seed in common"):
        measure_pair("a", "b", np.array([]), Goal.MAXIMIZE, 0.005)


def test_nine_wins_of_ten_are_meaningful_and_seven_are_not() -> None:
    for wins, meaningful in ((9, True), (7, False)):
        differences = np.array([0.01] * wins + [-0.01] * (10 - wins))
        assert measure_pair("a", "b", differences, Goal.MAXIMIZE, 0.005).is_meaningful is meaningful
