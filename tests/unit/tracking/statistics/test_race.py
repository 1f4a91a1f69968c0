from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tracking.ranking import Goal
from tracking.statistics.arms import Outcomes
from tracking.statistics.levels import race_look_alpha
from tracking.statistics.race import DroppedArm, RaceStanding, find_beaten, run_race

NOISE = np.random.default_rng(0).normal(0.0, 0.004, (4, 10))


def outcomes_of(means: list[float], seeds: int = 10) -> dict[str, Outcomes]:
    return {f"arm {arm}": dict(enumerate((mean + NOISE[arm, :seeds]).tolist())) for arm, mean in enumerate(means)}


def race(outcomes: dict[str, Outcomes], finished: int = 10, planned: int = 10) -> RaceStanding:
    return run_race(outcomes, num_finished=finished, num_planned=planned, worst=0.0)


def test_two_arms_are_judged_by_the_paired_t_test() -> None:
    first, second = np.array([0.80, 0.81, 0.79, 0.80]), np.array([0.78, 0.78, 0.775, 0.77])
    p_value = float(stats.ttest_rel(first, second).pvalue)
    assert find_beaten(np.stack([first, second]), [False] * 2, p_value * 1.001) == {1: 0}
    assert find_beaten(np.stack([first, second]), [False] * 2, p_value * 0.999) == {}
    assert find_beaten(np.stack([second, first]), [False] * 2, p_value * 1.001) == {0: 1}


def test_several_arms_are_judged_by_pooled_noise_by_hand() -> None:
    values = np.array([[5.0, 7.0, 5.0, 7.0], [1.0, 1.0, 3.0, 3.0], [0.0, 2.0, 2.0, 0.0]])
    # arm means 6, 2, 1, each arm with noise of +-1 that is unrelated to that of the others; seed means about 3
    residuals = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    pooled = (residuals**2).sum() / 6
    t_value = 4.0 / math.sqrt(2 * pooled / 4)
    p_value = 2 * stats.t.sf(t_value, 6)
    assert pooled == pytest.approx(8 / 6)
    own = float(stats.ttest_rel(values[0], values[1]).pvalue)
    alpha = max(3 * p_value, own) * 1.001
    assert find_beaten(values, [False] * 3, alpha) == {1: 0, 2: 0}
    assert 1 not in find_beaten(values, [False] * 3, alpha * 0.99)


def test_an_arm_that_is_far_behind_is_dropped_after_the_fourth_seed() -> None:
    outcomes = outcomes_of([0.80, 0.80, 0.60, 0.50])
    assert race(outcomes, finished=3) == RaceStanding(tuple(outcomes), ())
    standing = race(outcomes, finished=4)
    assert standing.active == ("arm 0", "arm 1")
    assert {each.arm for each in standing.dropped} == {"arm 2", "arm 3"}
    for each in standing.dropped:
        assert each.num_seeds == 4
        assert each.beaten_by == max(("arm 0", "arm 1"), key=lambda arm: sum(outcomes[arm][seed] for seed in range(4)))
        assert each.difference > 0.15


def test_the_last_arm_wins_and_goes_on() -> None:
    standing = race(outcomes_of([0.5, 0.9, 0.6]))
    assert standing.active == ("arm 1",)
    assert standing.winner == "arm 1"
    assert race(outcomes_of([0.5])).winner is None
    assert race(outcomes_of([0.5])).active == ("arm 0",)


def test_equal_arms_stay_in() -> None:
    assert race(outcomes_of([0.8, 0.8, 0.8, 0.8])).dropped == ()
    same = dict(enumerate([0.8, 0.81, 0.79, 0.8, 0.8, 0.82]))
    assert race({"a": same, "b": dict(same)}).dropped == ()


def test_differences_without_noise_are_certain() -> None:
    standing = race({"a": dict.fromkeys(range(10), 0.5), "b": dict.fromkeys(range(10), 0.25)})
    assert standing.dropped == (DroppedArm("b", 4, "a", 0.25),)


def test_no_look_is_taken_at_the_planned_number_of_seeds() -> None:
    outcomes = outcomes_of([0.80, 0.60], seeds=4)
    assert race(outcomes, finished=4, planned=5).winner == "arm 0"
    assert race(outcomes, finished=4, planned=4).dropped == ()


def test_what_comes_after_a_drop_changes_nothing() -> None:
    outcomes = outcomes_of([0.80, 0.80, 0.60])
    early = race(outcomes, finished=4)
    outcomes["arm 2"] = {**outcomes["arm 2"], **dict.fromkeys(range(4, 10), 1.0)}
    assert race(outcomes, finished=10).dropped == early.dropped


def test_a_dropped_arm_needs_no_further_seeds() -> None:
    outcomes = outcomes_of([0.80, 0.794, 0.60])
    outcomes["arm 2"] = {seed: value for seed, value in outcomes["arm 2"].items() if seed < 4}
    standing = race(outcomes)
    assert [each.num_seeds for each in standing.dropped if each.arm == "arm 2"] == [4]
    assert "arm 0" in standing.active


def test_a_seed_that_failed_for_one_arm_is_left_out() -> None:
    outcomes = outcomes_of([0.80, 0.60])
    outcomes["arm 1"] = {seed: value for seed, value in outcomes["arm 1"].items() if seed != 1}
    assert race(outcomes, finished=4).dropped == ()
    assert race(outcomes, finished=5).dropped[0].num_seeds == 4


def test_seeds_that_are_not_finished_are_not_looked_at() -> None:
    outcomes = outcomes_of([0.80, 0.60])
    assert race(outcomes, finished=3).dropped == ()


def test_an_arm_that_always_diverges_is_dropped() -> None:
    standing = race({**outcomes_of([0.8]), "bad": dict.fromkeys(range(4), math.nan)}, finished=4)
    assert standing.winner == "arm 0"


def test_an_arm_that_diverges_once_stays_in() -> None:
    outcomes = outcomes_of([0.8, 0.8])
    outcomes["arm 1"] = {**outcomes["arm 1"], 2: math.nan}
    assert race(outcomes).dropped == ()


def test_an_arm_that_diverges_now_and_then_does_not_shield_the_others() -> None:
    outcomes = outcomes_of([0.8, 0.75, 0.8])
    outcomes["arm 2"] = {**outcomes["arm 2"], 1: math.nan}
    assert [each.arm for each in race(outcomes, finished=4).dropped] == ["arm 1"]
    outcomes["arm 2"] = {**outcomes["arm 2"], 1: 0.0}  # the same value, by the noise that any arm may have
    assert race(outcomes, finished=4).dropped == ()


def test_equal_arms_that_often_diverge_stay_in() -> None:
    luck, dropped = np.random.default_rng(6), 0
    for _ in range(500):
        values = np.where(luck.random((6, 8)) < 0.5, math.nan, 0.8) + luck.normal(0.0, 0.001, (6, 8))
        dropped += bool(race({str(arm): dict(enumerate(row)) for arm, row in enumerate(values)}, planned=8).dropped)
    assert dropped <= 12  # 1 % and three standard errors


def test_of_losses_the_lower_goes_on() -> None:
    standing = run_race(outcomes_of([0.8, 0.2]), num_finished=4, num_planned=10, worst=9.0, goal=Goal.MINIMIZE)
    assert standing.winner == "arm 1"
    assert standing.dropped[0].difference == pytest.approx(-0.6, abs=0.01)


def test_an_arm_that_always_fails_does_not_hold_up_the_others() -> None:
    outcomes = {**outcomes_of([0.8, 0.6]), "fails": {}, "rarely works": {2: 0.9}}
    standing = race(outcomes)
    assert [each.arm for each in standing.dropped] == ["arm 1"]
    assert standing.active == ("arm 0", "fails", "rarely works")
    assert standing.winner is None
    assert race({}).active == ()


def test_a_seed_that_brings_nothing_spends_nothing() -> None:
    outcomes = {"a": outcomes_of([0.8])["arm 0"], "b": dict(enumerate((0.79 + NOISE[2]).tolist()))}
    expected = [(each.arm, each.num_seeds) for each in race(outcomes).dropped]
    shifted = {arm: {seed + (seed >= 4): value for seed, value in each.items()} for arm, each in outcomes.items()}
    found = race(shifted, finished=11, planned=11).dropped  # seed 4 failed for both
    assert [(each.arm, each.num_seeds) for each in found] == expected


VALUES = st.one_of(st.just(math.nan), st.floats(0.0, 1.0), st.sampled_from([0.1, 0.5, 0.9]))


@given(st.lists(st.dictionaries(st.integers(0, 8), VALUES), max_size=4))
def test_what_was_dropped_stays_dropped(arms: list[dict[int, float]]) -> None:
    outcomes: dict[str, Outcomes] = {str(arm): each for arm, each in enumerate(arms)}
    previous: tuple[DroppedArm, ...] = ()
    for finished in range(10):
        so_far = {arm: {seed: each[seed] for seed in each if seed < finished} for arm, each in outcomes.items()}
        standing = race(so_far, finished=finished)
        assert standing == race(outcomes, finished=finished)
        assert standing.dropped[: len(previous)] == previous
        assert sorted((*standing.active, *(each.arm for each in standing.dropped))) == sorted(outcomes)
        assert standing.active or not outcomes
        previous = standing.dropped


def test_noise_of_two_values_does_not_look_like_certainty() -> None:
    luck, dropped = np.random.default_rng(5), 0
    for _ in range(1000):
        values = luck.choice([0.6, 0.8], (2, 10)) + luck.normal(0.0, 0.001, (2, 10))
        dropped += bool(race({"a": dict(enumerate(values[0])), "b": dict(enumerate(values[1]))}).dropped)
    assert dropped <= 25  # 1 % and three standard errors


def test_the_mean_of_all_seeds_so_far_is_looked_at() -> None:
    """A difference that four seeds leave open is found with more of them."""
    outcomes = {"a": outcomes_of([0.8])["arm 0"], "b": dict(enumerate((0.79 + NOISE[2]).tolist()))}
    standing = race(outcomes)
    (found,) = standing.dropped
    assert found.num_seeds > 4
    values = np.array([[outcomes[arm][seed] for seed in range(found.num_seeds)] for arm in ("a", "b")])
    assert stats.ttest_rel(*values).pvalue <= race_look_alpha(found.num_seeds - 3)
