from __future__ import annotations

import pytest

from tracking.statistics.levels import ALPHA, RACE_ALPHA, race_look_alpha, verdict_alpha


def test_all_looks_together_spend_no_more_than_5_percent() -> None:
    race = sum(race_look_alpha(look) for look in range(1, 1000))
    assert RACE_ALPHA * 0.99 < race <= RACE_ALPHA
    for raced in (False, True):
        verdicts = sum(verdict_alpha(raced=raced, num_extensions=number) for number in range(60))
        spent = verdicts + (race if raced else 0.0)
        assert ALPHA * 0.99 < spent <= ALPHA + 1e-12


def test_six_seeds_reach_the_first_level() -> None:
    assert verdict_alpha(raced=True) == pytest.approx(0.032)
    assert verdict_alpha(raced=False) == pytest.approx(0.04)
    assert verdict_alpha(raced=True) >= 2 / 2**6


def test_each_later_look_spends_less() -> None:
    levels = [verdict_alpha(raced=True, num_extensions=number) for number in range(5)]
    assert levels == sorted(levels, reverse=True)
    assert [race_look_alpha(look) for look in (1, 2, 3)] == pytest.approx([0.005, 0.01 / 6, 0.01 / 12])


def test_there_is_no_extension_before_the_first() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        verdict_alpha(raced=False, num_extensions=-1)
