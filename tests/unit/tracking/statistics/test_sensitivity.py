from __future__ import annotations

import math

import numpy as np
import pytest

from tracking.ranking import Goal
from tracking.statistics.sensitivity import GoodBand, find_good_band


def find(settings: list[float], values: list[float], goal: Goal = Goal.MAXIMIZE) -> GoodBand | None:
    return find_good_band(np.array(settings), np.array(values), goal=goal)


def test_the_band_about_the_best_by_hand() -> None:
    band = find([1.0, 0.001, 0.1, 0.01, 0.0001], [0.2, 0.795, 0.8, 0.79, 0.7])
    assert band is not None
    assert (band.low, band.best, band.high) == (0.001, 0.1, 0.1)
    assert band.decades == pytest.approx(2.0)
    assert (band.num_trials, band.is_open) == (3, (False, False))


def test_a_worse_trial_ends_the_band() -> None:
    band = find([0.001, 0.01, 0.1, 1.0], [0.8, 0.5, 0.8, 0.795])
    assert band is not None
    assert (band.low, band.high) == (0.001, 0.001)  # of two equal ones the first stands for both
    assert band.is_open == (True, False)


def test_a_diverged_trial_ends_the_band() -> None:
    band = find([0.01, 0.1, 0.2, 1.0], [0.8, math.nan, 0.799, 0.799])
    assert band is not None
    assert (band.low, band.high, band.num_trials) == (0.01, 0.01, 1)


def test_of_losses_the_lower_is_good() -> None:
    band = find([0.1, 0.2, 0.3], [0.505, 0.5, 0.6], Goal.MINIMIZE)
    assert band is not None
    assert (band.low, band.high) == (0.1, 0.2)


def test_a_setting_of_zero_has_no_decades() -> None:
    band = find([0.0, 0.1], [0.8, 0.8])
    assert band is not None
    assert (band.low, band.high, band.decades, band.is_open) == (0.0, 0.1, None, (True, True))


def test_nothing_was_good() -> None:
    assert find([0.1], [math.nan]) is None
    assert find([], []) is None
