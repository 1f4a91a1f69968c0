from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest
from plain_table import plain_table, retraining, search_trial

from tracking.analysis.search_luck import judge_luck, list_final_scores
from tracking.names import TrialState
from tracking.table import SweepTable

EARLY = TrialState.EARLY_STOPPED


def test_a_trial_that_was_stopped_early_gains_what_those_of_its_arm_gained_that_went_on() -> None:
    table = plain_table(
        search_trial("adam", 0, 0.4, 0.5, 0.7, lr=0.1),
        search_trial("adam", 1, 0.5, 0.55, 0.6, lr=0.2),
        search_trial("adam", 2, 0.3, state=EARLY, lr=0.3),
        search_trial("adam", 3, 0.4, 0.45, state=EARLY, lr=0.4),
        search_trial("sgd", 0, 0.2, state=EARLY, lr=0.1),
    )
    assert list_final_scores(table, "adam") == pytest.approx([0.7, 0.6, 0.3 + 0.2, 0.45 + 0.125])
    assert list_final_scores(table, "sgd") == [0.2]  # none went on


def test_settings_that_were_trained_again_count_as_what_they_reached_then() -> None:
    """Of two draws of the same settings one does; what failed, or still runs, does not count."""
    best, same = search_trial("adam", 0, 0.7, lr=0.1), search_trial("adam", 1, 0.65, lr=0.1)
    stopped = search_trial("adam", 2, 0.5, state=EARLY, lr=0.2)
    again = [
        replace(retraining(best, seed, value, 0.5), history={"val_accuracy": ((1, value),)})
        for seed, value in enumerate((0.6, 0.62))
    ]
    failed = replace(retraining(best, 2, 0.1, 0.1), state=TrialState.FAILED)
    table = plain_table(best, same, stopped, *again, failed, search_trial("sgd", 0, 0.5, lr=0.1))
    assert list_final_scores(table, "adam") == pytest.approx([0.61, 0.65, 0.5])
    diverged = replace(retraining(best, 3, 0.1, 0.1), state=TrialState.DIVERGED)
    assert list_final_scores(replace(table, trials=(*table.trials, diverged)), "adam")[0] == -math.inf


def test_of_losses_less_is_more() -> None:
    table = plain_table(
        search_trial("adam", 0, 0.9, 0.5, lr=0.1),
        search_trial("adam", 1, 1.0, state=EARLY, lr=0.2),
        goal="minimize",
    )
    assert list_final_scores(table, "adam") == pytest.approx([-0.5, -0.6])


def test_a_trial_that_diverged_is_behind_all_and_one_that_failed_is_left_out() -> None:
    table = plain_table(
        search_trial("adam", 0, 0.5, state=TrialState.DIVERGED, lr=0.1),
        search_trial("adam", 1, 0.4, state=TrialState.FAILED, lr=0.2),
        search_trial("adam", 2, 0.4, state=TrialState.STOPPED, lr=0.3),
        search_trial("adam", 3, 0.4, state=None, lr=0.4),
    )
    assert list_final_scores(table, "adam") == [-math.inf]


def build(sgd: list[float], adam: list[float], **changes: object) -> SweepTable:
    """Trials with these learning rates; those of adam are ahead."""
    return plain_table(
        *(search_trial("sgd", number, 0.5, lr=lr) for number, lr in enumerate(sgd)),
        *(search_trial("adam", number, 0.6, lr=lr) for number, lr in enumerate(adam)),
        **changes,
    )


@pytest.mark.parametrize(
    ("sgd", "adam", "is_luck"),
    [
        ([0.1, 0.2], [0.1, 0.2], True),
        ([0.1, 0.1], [0.1, 0.2], False),  # sgd has one configuration: there was nothing to find
        ([0.1, 0.2], [0.1, 0.1], True),
        ([0.1], [0.1], True),  # one draw is all luck
        ([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], False),  # all four of adam are ahead of all four of sgd
    ],
)
def test_who_may_owe_its_lead_to_luck(sgd: list[float], adam: list[float], is_luck: bool) -> None:
    found = judge_luck(build(sgd, adam, manifest={}), ("sgd", "adam"), "adam", 0.04)
    assert found["adam", "sgd"].is_luck is is_luck
    grid = judge_luck(build(sgd, adam, manifest={"search": {"exhaustive": True}}), ("sgd", "adam"), "adam", 0.04)
    assert [grid[pair].is_luck for pair in permutations(("adam", "sgd"))] == [False, False]


def test_arms_without_any_searched_setting_owe_nothing_to_luck() -> None:
    table = build([0.1], [0.1], manifest={}, searched=("optimizer",))
    assert not judge_luck(table, ("sgd", "adam"), "adam", 0.04)["adam", "sgd"].is_luck
