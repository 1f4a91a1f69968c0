from __future__ import annotations

import math

import numpy as np
import pytest

from tracking.ranking import Goal
from tracking.statistics.arms import Outcomes
from tracking.statistics.comparison import Comparison, compare_arms, compare_with_default, is_selected_best
from tracking.statistics.verdict import Verdict

ALPHA = 0.04


def draw(mean: float, sd: float = 0.004, seeds: int = 10, luck: int = 0) -> Outcomes:
    return dict(enumerate((mean + np.random.default_rng(luck).normal(0.0, sd, seeds)).tolist()))


def compare(outcomes: dict[str, Outcomes], **options: object) -> Comparison:
    comparison = compare_arms(outcomes, worst=0.0, alpha=ALPHA, **options)  # type: ignore[arg-type]
    assert comparison is not None
    return comparison


def test_a_clear_difference_by_hand() -> None:
    better = {seed: 0.80 + 0.01 * (seed % 2) for seed in range(6)}
    comparison = compare({"sgd": dict.fromkeys(range(6), 0.70), "adam": better})
    (pair,) = comparison.pairs
    assert (pair.arm, pair.other, comparison.best) == ("adam", "sgd", "adam")
    assert pair.difference == pytest.approx(0.105)
    assert pair.sd == pytest.approx(0.005 * math.sqrt(6 / 5))
    assert pair.p_value == pair.p_adjusted == pair.p_holm == 2 / 64
    assert (pair.win_share, pair.win_interval.high) == (1.0, 1.0)
    assert pair.win_interval.low == pytest.approx(0.025 ** (1 / 6))  # Clopper-Pearson of 6 of 6
    assert (pair.verdict, pair.num_more_seeds) == (Verdict.BETTER, 0)
    assert pair.is_meaningful
    assert comparison.winner(("adam", "sgd")) == "adam"


def test_the_other_way_round() -> None:
    comparison = compare({"sgd": draw(0.7), "adam": draw(0.8, luck=1)})
    forward, back = comparison.find("adam", "sgd"), comparison.find("sgd", "adam")
    assert forward is not None
    assert back is not None
    assert (forward.verdict, back.verdict) == (Verdict.BETTER, Verdict.WORSE)
    assert back.difference == -forward.difference
    assert forward.interval is not None
    assert back.interval is not None
    assert (back.interval.low, back.interval.high) == (-forward.interval.high, -forward.interval.low)
    assert back.win_share + forward.win_share == 1
    assert not back.is_meaningful
    assert back.reversed == forward
    assert comparison.find("sgd", "lion") is None


def test_small_differences_are_a_tie_even_if_they_are_certain() -> None:
    base = draw(0.8)
    comparison = compare({"a": base, "b": {seed: value + 0.001 for seed, value in base.items()}})
    (pair,) = comparison.pairs
    assert pair.p_value < ALPHA
    assert pair.verdict is Verdict.TIE
    assert comparison.winner(("a", "b")) is None


def test_identical_arms_tie_from_5_seeds() -> None:
    for seeds, verdict in ((4, Verdict.NOT_ENOUGH_SEEDS), (5, Verdict.TIE), (10, Verdict.TIE)):
        (pair,) = compare({"a": draw(0.8, seeds=seeds), "b": draw(0.8, seeds=seeds)}).pairs
        assert (pair.verdict, pair.difference, pair.win_share) == (verdict, 0.0, 0.5)
        assert pair.interval is None


def test_noise_asks_for_more_seeds() -> None:
    comparison = compare({"a": draw(0.80, sd=0.02), "b": draw(0.803, sd=0.02, luck=1)})
    (pair,) = comparison.pairs
    assert pair.verdict is Verdict.NOT_ENOUGH_SEEDS
    assert pair.num_more_seeds is not None
    assert pair.num_more_seeds > 10
    assert comparison.winner(("a", "b")) is None


def test_seeds_that_are_added_are_reckoned_at_their_own_level() -> None:
    outcomes = {"a": draw(0.80, sd=0.01), "b": draw(0.803, sd=0.01, luck=1)}
    now, later = (compare(outcomes, later_alpha=level).pairs[0].num_more_seeds for level in (None, 0.005))
    assert now is not None
    assert later is not None
    assert now < later


def test_one_seed_is_never_a_verdict() -> None:
    (pair,) = compare({"a": {0: 0.9}, "b": {0: 0.1}}).pairs
    assert (pair.verdict, pair.num_more_seeds, pair.sd, pair.interval) == (Verdict.NOT_ENOUGH_SEEDS, 5, None, None)


def test_a_winner_beats_every_other_arm() -> None:
    outcomes = {"a": draw(0.9), "b": draw(0.8, luck=1), "c": draw(0.9, luck=2)}
    comparison = compare(outcomes)
    assert comparison.winner(outcomes) is None
    assert [pair.other for pair in comparison.to_best() if pair.verdict is Verdict.BETTER] == ["b"]
    assert compare({"a": outcomes["a"], "b": outcomes["b"]}).winner(("a", "b", "d")) is None  # d was never retrained
    assert compare({"a": outcomes["a"]}).winner(("a",)) is None


def draw_eight() -> dict[str, Outcomes]:
    """One good arm and seven equal ones, told apart by the tests of its pairs alone and not by the corrected ones."""
    values = np.random.default_rng(0).normal(0.8, 0.01, (8, 10))
    values[0] += 0.02
    return {f"arm {arm}": dict(enumerate(row)) for arm, row in enumerate(values.tolist())}


def test_an_arm_that_beats_each_other_one_wins_though_no_corrected_test_says_so() -> None:
    outcomes = draw_eight()
    comparison = compare(outcomes)
    assert max(pair.p_value for pair in comparison.to_best()) <= ALPHA
    assert max(pair.p_adjusted or 0.0 for pair in comparison.to_best()) > ALPHA
    assert comparison.winner(outcomes) == comparison.best == "arm 0"
    others = [pair.verdict for pair in comparison.pairs if "arm 0" not in (pair.arm, pair.other)]
    assert Verdict.BETTER not in others


def test_an_arm_that_it_was_not_compared_with_leaves_the_best_to_the_corrected_tests() -> None:
    comparison = compare({**draw_eight(), "elsewhere": {50: 0.1}})
    assert {pair.verdict for pair in comparison.to_best()} == {Verdict.BETTER, Verdict.NOT_ENOUGH_SEEDS}


def test_the_runner_up_decides_whether_the_best_is_selected() -> None:
    assert is_selected_best([0.001, 0.04], 0.04)
    assert not is_selected_best([0.001, 0.041], 0.04)


def test_only_pairs_to_the_best_have_holms_value() -> None:
    comparison = compare({"a": draw(0.9), "b": draw(0.8, luck=1), "c": draw(0.7, luck=2)})
    assert [(pair.arm, pair.other, pair.p_holm is None) for pair in comparison.pairs] == [
        ("a", "b", False),
        ("a", "c", False),
        ("b", "c", True),
    ]


def test_a_diverged_retraining_is_a_loss() -> None:
    outcomes = {"a": draw(0.8), "b": {**draw(0.85, luck=1), 3: math.nan}}
    (pair,) = compare(outcomes).pairs
    assert (pair.arm, pair.num_seeds) == ("a", 10)
    assert pair.reversed.win_share == pytest.approx(0.9)  # it won on the other nine
    assert pair.verdict is Verdict.NOT_ENOUGH_SEEDS


def test_where_both_diverge_neither_is_ahead() -> None:
    (pair,) = compare({"a": {0: math.nan, 1: 0.5}, "b": {0: math.nan, 1: 0.4}}).pairs
    assert pair.win_share == 0.75


def test_only_shared_seeds_are_paired() -> None:
    (pair,) = compare({"a": {0: 0.5, 1: 0.6, 2: 0.7}, "b": {1: 0.5, 2: 0.6, 3: 0.9}}).pairs
    assert (pair.num_seeds, pair.reversed.difference, pair.arm) == (2, pytest.approx(-0.1), "a")
    assert compare({"a": {0: 0.5}, "b": {1: 0.5}}).pairs == ()


def test_a_loss_is_better_when_lower() -> None:
    comparison = compare({"a": draw(0.5), "b": draw(0.9, luck=1)}, goal=Goal.MINIMIZE)
    (pair,) = comparison.pairs
    assert (comparison.best, pair.arm, pair.verdict) == ("a", "a", Verdict.BETTER)
    assert pair.difference < 0
    assert pair.win_share == 1.0


def test_an_arm_that_the_race_dropped_is_worse_than_the_best() -> None:
    outcomes = {"a": draw(0.9), "b": draw(0.89, sd=0.03, luck=1), "c": draw(0.5, seeds=4, luck=2), "d": {0: 0.4}}
    comparison = compare(outcomes, dropped=("c", "d"))
    assert [(pair.arm, pair.other) for pair in comparison.pairs] == [("a", "b"), ("a", "c"), ("a", "d")]
    pair = comparison.find("c", "a")
    assert pair is not None
    assert (pair.verdict, pair.by_race, pair.p_adjusted, pair.num_seeds) == (Verdict.WORSE, True, None, 4)
    assert comparison.winner(outcomes) is None  # b is still in
    assert compare({"a": outcomes["a"], "c": outcomes["c"]}, dropped=("c",)).winner(("a", "c")) == "a"


def test_an_arm_that_shares_no_seed_keeps_the_best_from_winning() -> None:
    outcomes = {"a": draw(0.9), "b": draw(0.8, luck=1), "c": {11: 0.1}}
    comparison = compare(outcomes)
    assert [pair.verdict for pair in comparison.pairs] == [Verdict.BETTER]  # the only pair, corrected for one
    assert comparison.winner(outcomes) is None


def test_tuned_settings_are_seen_beside_their_defaults() -> None:
    tuned = {"sgd": draw(0.9), "adam": draw(0.8, luck=1), "lion": draw(0.7, luck=2), "sam": {}}
    defaults = {"sgd": draw(0.7, luck=3), "adam": draw(0.85, luck=4), "sam": draw(0.8), "soap": draw(0.8)}
    found = compare_with_default(tuned, defaults, worst=0.0, alpha=ALPHA)
    assert {arm: pair.verdict for arm, pair in found.items()} == {"sgd": Verdict.BETTER, "adam": Verdict.WORSE}
    assert found["adam"].difference == pytest.approx(-0.05, abs=0.01)
    assert list(found) == ["sgd", "adam"]


def test_nothing_to_compare() -> None:
    assert compare_arms({}, worst=0.0, alpha=ALPHA) is None
    assert compare_arms({"a": {}}, worst=0.0, alpha=ALPHA) is None
    assert compare({"a": {0: 0.5}}).pairs == ()


def test_a_margin_is_above_zero() -> None:
    with pytest.raises(ValueError, match="margin"):
        compare_arms({"a": {0: 0.5}}, worst=0.0, alpha=ALPHA, margin=0.0)


def test_the_best_is_never_called_worse_wrongly_more_often_than_allowed() -> None:
    luck, wrong = np.random.default_rng(3), 0
    for _ in range(200):
        values = luck.normal(0.8, 0.004, (4, 8))
        outcomes = {f"arm {arm}": dict(enumerate(row)) for arm, row in enumerate(values.tolist())}
        wrong += any(pair.verdict is Verdict.BETTER for pair in compare(outcomes).pairs)
    assert wrong <= 200 * ALPHA + 3 * math.sqrt(200 * ALPHA * (1 - ALPHA))
