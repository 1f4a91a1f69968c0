import math
from itertools import permutations

import pytest

from sweeps.stopping.asha import Rungs, rung_epochs
from sweeps.stopping.hyperband import Brackets, assign_next
from sweeps.stopping.promotion import PromotionRungs
from sweeps.stopping.rule import CONTINUE


@pytest.mark.parametrize(
    ("min_iter", "max_iter", "eta", "expected"),
    [(1, 27, 3, (1, 3, 9)), (1, 9, 3, (1, 3)), (2, 3, 3, (2,)), (1, 28, 3, (1, 3, 9, 27)), (5, 5, 2, ())],
)
def test_rungs_lie_at_powers_of_eta_below_the_end(
    min_iter: int, max_iter: int, eta: int, expected: tuple[int, ...]
) -> None:
    assert rung_epochs(min_iter, max_iter, eta) == expected


def test_the_first_arrival_goes_on() -> None:
    assert Rungs((1,), 3).judge(0, 1, 0.1) is CONTINUE


def test_only_the_best_third_goes_on() -> None:
    rungs = Rungs((1,), 3)
    stopped = {trial: rungs.judge(trial, 1, score).action == "stop" for trial, score in enumerate(range(6, 0, -1))}
    # falling arrival: 0 is the first; of six, two go on by the time the last arrives, and none of 1 to 5 is among them
    assert stopped == {0: False, 1: True, 2: True, 3: True, 4: True, 5: True}
    assert rungs.judge(6, 1, 5.5) is CONTINUE  # second of seven, two go on


def test_nan_stops_even_as_first_arrival_and_counts_as_worst() -> None:
    rungs = Rungs((1,), 3)
    assert "no finite score" in rungs.judge(0, 1, math.nan).reason
    assert "no finite score" in rungs.judge(1, 1, math.inf).reason
    assert rungs.judge(2, 1, 0.1) is CONTINUE


def test_a_field_of_equal_trials_does_not_run_to_the_end() -> None:
    rungs = Rungs((1,), 3)
    going = [trial for trial in range(12) if rungs.judge(trial, 1, 0.10) is CONTINUE]
    assert going == [0]


def test_epochs_that_are_no_rung_are_not_recorded() -> None:
    rungs = Rungs((1, 3), 3)
    assert rungs.judge(0, 2, 0.0) is CONTINUE
    assert rungs.scores == {}
    # a trial resumed at epoch 4 never writes its late score into rung 3
    assert rungs.judge(0, 4, 0.9) is CONTINUE
    assert rungs.scores == {}


def test_a_replayed_result_changes_nothing() -> None:
    rungs = Rungs((1,), 3)
    for trial, score in enumerate((0.5, 0.4, 0.6)):
        rungs.judge(trial, 1, score)
    assert rungs.judge(1, 1, 0.99).action == "stop"
    assert rungs.judge(0, 1, 0.0) is CONTINUE
    assert rungs.scores[1] == {0: 0.5, 1: 0.4, 2: 0.6}


def test_the_best_trial_survives_in_every_order_of_arrival() -> None:
    for order in permutations((0.1, 0.2, 0.3, 0.4, 0.5)):
        rungs = Rungs((1,), 3)
        decisions = {score: rungs.judge(trial, 1, score) for trial, score in enumerate(order)}
        assert decisions[0.5] is CONTINUE


def test_a_diverged_trial_fills_a_place_at_the_rung_it_would_have_met() -> None:
    rungs = Rungs((1, 3), 2)
    rungs.record_ended(0, 2, math.nan)
    assert rungs.scores == {3: {0: -math.inf}}
    rungs.record_ended(1, 2, 0.5)  # ended by itself between two rungs, with a score that belongs to neither
    assert 1 not in rungs.scores[3]


def test_a_trial_is_ranked_by_its_best_score_so_far() -> None:
    rungs, promotion = Rungs((3,), 2), PromotionRungs((3,), 2)
    for rule in (rungs, promotion):
        rule.judge(0, 3, 0.4, best=0.5)
        rule.judge(1, 3, 0.45)
    assert promotion.next_promoted() == 0
    assert rungs.judge(1, 3, 0.45).reason == "asha: rank 2 of 2 at epoch 3, the best 1 go on"


def test_a_score_that_is_not_finite_is_the_worst_whatever_came_before() -> None:
    for rule in (Rungs((3,), 2), PromotionRungs((3,), 2)):
        assert rule.judge(0, 3, math.nan, best=0.9).action == "stop"
        rule.record_ended(1, 2, math.nan, best=0.9)
        assert rule.scores == {3: {0: -math.inf, 1: -math.inf}}


def test_strict_stops_a_trial_that_has_fallen_behind_since_it_passed() -> None:
    lenient, strict = Rungs((1, 3), 2), Rungs((1, 3), 2, strict=True)
    for rungs in (lenient, strict):
        assert rungs.judge(0, 1, 0.5) is CONTINUE
        assert rungs.judge(1, 1, 0.6) is CONTINUE
        assert rungs.judge(2, 1, 0.7) is CONTINUE
    assert lenient.judge(0, 2, 0.9) is CONTINUE
    assert strict.judge(0, 2, 0.9).reason == "asha: rank 3 of 3 at epoch 1, the best 1 go on"
    assert strict.judge(0, 2, 0.9).action == "stop"  # said again
    assert strict.judge(2, 2, 0.1) is CONTINUE


class TestPromotion:
    """Li et al. 2020, algorithm 2."""

    def test_every_trial_pauses_at_a_rung(self) -> None:
        rungs = PromotionRungs((1, 3), 3)
        assert [rungs.judge(trial, 1, score).action for trial, score in enumerate((0.1, 0.9))] == ["pause", "pause"]
        assert rungs.judge(0, 2, 0.5) is CONTINUE
        assert rungs.next_promoted() is None  # of two, none is the best third

    def test_one_that_was_not_among_the_best_is_promoted_when_more_have_come(self) -> None:
        rungs = PromotionRungs((1, 3), 3)
        for trial, score in enumerate((0.5, 0.9, 0.1)):
            rungs.judge(trial, 1, score)
        assert rungs.next_promoted() == 1
        assert rungs.next_promoted() == 1  # asking changes nothing
        rungs.promote(1)
        assert rungs.next_promoted() is None
        for trial in (3, 4, 5):
            rungs.judge(trial, 1, 0.2)
        assert rungs.next_promoted() == 0
        assert rungs.explain_pause(3) == "asha: rank 3 of 6 at epoch 1, the best 2 went on"

    def test_the_highest_rung_comes_first(self) -> None:
        rungs = PromotionRungs((1, 2), 2)
        for trial in range(4):
            rungs.judge(trial, 1, trial / 10)
        for trial in (3, 2):
            rungs.promote(trial)
            rungs.judge(trial, 2, trial / 10)
        for trial in (4, 5):
            rungs.judge(trial, 1, 0.9)
        assert rungs.next_promoted() == 3

    def test_a_result_beyond_a_rung_says_that_the_trial_was_promoted(self) -> None:
        rungs = PromotionRungs((1, 4), 2)
        for trial in range(2):
            rungs.judge(trial, 1, trial / 10)
        assert rungs.next_promoted() == 1
        rungs.judge(1, 2, 0.3)  # of a sweep that is replayed
        assert rungs.next_promoted() is None
        assert rungs.judge(1, 1, 0.0) is CONTINUE  # and of one that repeats epochs from an old checkpoint
        assert rungs.scores[1][1] == 0.1

    def test_diverged_trials_take_a_place_and_are_never_promoted(self) -> None:
        rungs = PromotionRungs((1, 3), 2)
        assert rungs.judge(0, 1, math.nan).action == "stop"
        rungs.judge(1, 1, 0.1)
        assert rungs.next_promoted() == 1
        rungs.promote(1)
        rungs.record_ended(1, 2, math.nan)
        rungs.judge(2, 1, 0.05)
        rungs.judge(3, 1, 0.01)
        assert rungs.scores[3] == {1: -math.inf}
        assert rungs.next_promoted() == 2

    def test_a_trial_that_ended_on_a_rung_does_not_go_on(self) -> None:
        rungs = PromotionRungs((1, 3), 2)
        rungs.record_ended(0, 3, 0.9)  # out of patience
        rungs.judge(1, 1, 0.1)
        rungs.judge(2, 3, 0.1)
        assert rungs.next_promoted() is None


class TestBrackets:
    """Hyperband."""

    def test_each_bracket_leaves_out_one_more_rung(self) -> None:
        brackets = Brackets((1, 3, 9), 3, 9)
        assert [each.epochs for each in brackets.brackets] == [(1, 3, 9), (3, 9), (9,), ()]

    def test_all_brackets_cost_about_alike(self) -> None:
        brackets = Brackets((1, 3, 9), 3, 4)
        counts = [[brackets.bracket(trial) for trial in range(400)].count(index) for index in range(4)]
        # Li et al. 2018, table 1, for R = 27 and eta = 3: n = ceil(4 * 3^s / (s + 1))
        assert [round(count / counts[3] * 4) for count in counts] == [27, 12, 6, 4]

    def test_a_trial_is_judged_in_its_bracket_alone(self) -> None:
        brackets = Brackets((1, 3), 2, 2)
        first = [trial for trial in range(20) if brackets.bracket(trial) == 0]
        second = [trial for trial in range(20) if brackets.bracket(trial) == 1]
        assert brackets.judge(first[0], 1, 0.9) is CONTINUE
        assert brackets.judge(second[0], 1, 0.1) is CONTINUE  # no rung of its bracket
        assert (
            brackets.judge(first[1], 1, 0.1).reason == "hyperband bracket 1: rank 2 of 2 at epoch 1, the best 1 go on"
        )
        assert brackets.judge(first[2], 3, 0.9) is CONTINUE
        assert brackets.judge(second[0], 3, 0.1) is CONTINUE

    def test_one_bracket_is_asha(self) -> None:
        brackets, rungs = Brackets((1, 3), 3, 1), Rungs((1, 3), 3)
        for trial, score in enumerate((0.3, 0.2, 0.4, math.nan, 0.5, 0.4)):
            assert brackets.judge(trial, 1, score).action == rungs.judge(trial, 1, score).action

    def test_shares_are_kept_at_every_moment(self) -> None:
        num_assigned = [0, 0, 0]
        for count in range(1, 61):
            num_assigned[assign_next((3, 2, 1), num_assigned)] += 1
            for share, has in zip((3, 2, 1), num_assigned, strict=True):
                assert abs(has - share / 6 * count) < 1.01
