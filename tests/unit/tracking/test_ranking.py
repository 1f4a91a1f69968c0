from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.names import TrialState
from tracking.ranking import Goal, rank_key

SCORES = st.floats(allow_nan=True)


@given(SCORES, SCORES, st.sampled_from(Goal))
def test_of_two_scores_at_most_one_beats_the_other(one: float, other: float, goal: Goal) -> None:
    assert not (goal.beats(one, other) and goal.beats(other, one))
    if math.isfinite(one) and math.isfinite(other) and one != other:
        assert goal.beats(one, other) or goal.beats(other, one)
        assert goal.beats(goal.best((one, other)), goal.worst((one, other)))


def test_a_target_is_reached_from_the_side_of_the_goal() -> None:
    assert Goal.MAXIMIZE.reaches(0.5, 0.5)
    assert not Goal.MAXIMIZE.reaches(0.4, 0.5)
    assert Goal.MINIMIZE.reaches(0.4, 0.5)
    assert not Goal.MINIMIZE.reaches(math.nan, 0.5)


@pytest.mark.parametrize("state", [None, TrialState.DIVERGED, TrialState.FAILED, TrialState.STOPPED])
def test_trials_that_did_not_end_well_have_no_rank(state: TrialState | None) -> None:
    assert rank_key(state, 3, 0.9, 0, Goal.MAXIMIZE) is None


@pytest.mark.parametrize("goal", Goal)
def test_rank_is_by_end_then_epochs_then_score_then_number(goal: Goal) -> None:
    better, worse = goal.best((0.2, 0.6)), goal.worst((0.2, 0.6))
    trials = [
        (TrialState.COMPLETED, 2, better, 4),
        (TrialState.COMPLETED, 9, worse, 1),
        (TrialState.COMPLETED, 9, worse, 2),
        (TrialState.EARLY_STOPPED, 3, worse, 0),
        (TrialState.EARLY_STOPPED, 1, better, 3),
    ]

    def key(trial: tuple[TrialState, int, float, int]) -> tuple[bool, int, float, int]:
        made = rank_key(*trial, goal)
        assert made is not None
        return made

    upside_down = trials[::-1]
    assert sorted(upside_down, key=key) == trials
