import math
from itertools import permutations

import pytest

from sweeps.schedulers import ArmRungs, Rungs, rung_epochs
from sweeps.spec import Asha


@pytest.mark.parametrize(
    ("min_iter", "max_iter", "eta", "expected"),
    [(1, 27, 3, (1, 3, 9)), (1, 9, 3, (1, 3)), (2, 3, 3, (2,)), (1, 28, 3, (1, 3, 9, 27)), (5, 5, 2, ())],
)
def test_rungs_lie_at_powers_of_eta_below_the_end(
    min_iter: int, max_iter: int, eta: int, expected: tuple[int, ...]
) -> None:
    assert rung_epochs(min_iter, max_iter, eta) == expected


def test_the_first_arrival_goes_on() -> None:
    assert Rungs((1,), 3).judge("a", 1, 0.1) == ""


def test_only_the_best_third_goes_on() -> None:
    rungs = Rungs((1,), 3)
    stopped = {
        trial: bool(rungs.judge(trial, 1, score)) for trial, score in zip("abcdef", range(6, 0, -1), strict=True)
    }
    # falling arrival: a is the first; of six, two go on by the time f arrives, and neither b..f is among them
    assert stopped == {"a": False, "b": True, "c": True, "d": True, "e": True, "f": True}
    assert rungs.judge("g", 1, 5.5) == ""  # second of seven, two go on


def test_nan_stops_even_as_first_arrival_and_counts_as_worst() -> None:
    rungs = Rungs((1,), 3)
    assert "no finite score" in rungs.judge("a", 1, math.nan)
    assert "no finite score" in rungs.judge("b", 1, math.inf)
    assert rungs.judge("c", 1, 0.1) == ""


def test_a_field_of_equal_trials_does_not_run_to_the_end() -> None:
    rungs = Rungs((1,), 3)
    going = [trial for trial in range(12) if not rungs.judge(str(trial), 1, 0.10)]
    assert going == [0]


def test_epochs_that_are_no_rung_are_not_recorded() -> None:
    rungs = Rungs((1, 3), 3)
    assert rungs.judge("a", 2, 0.0) == ""
    assert rungs.scores == {}
    # a trial resumed at epoch 4 never writes its late score into rung 3
    assert rungs.judge("a", 4, 0.9) == ""
    assert rungs.scores == {}


def test_a_replayed_result_changes_nothing() -> None:
    rungs = Rungs((1,), 3)
    for trial, score in (("a", 0.5), ("b", 0.4), ("c", 0.6)):
        rungs.judge(trial, 1, score)
    assert rungs.judge("b", 1, 0.99) != ""
    assert rungs.judge("a", 1, 0.0) == ""
    assert rungs.scores[1] == {"a": 0.5, "b": 0.4, "c": 0.6}


def test_the_best_trial_survives_in_every_order_of_arrival() -> None:
    for order in permutations((0.1, 0.2, 0.3, 0.4, 0.5)):
        rungs = Rungs((1,), 3)
        verdicts = {score: rungs.judge(str(score), 1, score) for score in order}
        assert verdicts[0.5] == ""


def test_a_diverged_trial_fills_a_place_at_the_rung_it_would_have_met() -> None:
    rungs = Rungs((1, 3), 2)
    rungs.record_ended("a", 2, math.nan)
    assert rungs.scores == {3: {"a": -math.inf}}
    rungs.record_ended("b", 2, 0.5)  # ended by itself between two rungs, with a score that belongs to neither
    assert "b" not in rungs.scores[3]


def test_arms_do_not_compete() -> None:
    rungs = ArmRungs(("fast", "slow"), Asha(min_iter=1, eta=3), 9)
    for trial in range(3):
        rungs["fast"].judge(f"fast-{trial}", 1, 0.9)
    assert rungs["slow"].judge("slow-0", 1, 0.2) == ""


def test_without_early_termination_nothing_is_stopped() -> None:
    rungs = ArmRungs(("all",), None, 9)
    assert all(rungs["all"].judge(str(trial), epoch, math.nan) == "" for trial in range(5) for epoch in range(1, 10))
