"""A journal put together again, where the times of its events say nothing of their order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tracking.names import TrialState
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    TrialEnded,
    TrialPaused,
    TrialRecord,
    TrialResumed,
    TrialStarted,
)
from tracking.recording.rebuild import Rebuilt, rebuild

START = TrialStarted(TrialRecord("sgd-0", 0, "sgd", "search", 0, {}))
PAUSED, GOES_ON = TrialPaused("sgd-0"), TrialResumed("sgd-0", {})
COPIES = TrialResumed("sgd-0", {"donor_id": "sgd-1", "parameters": {}})
COMPLETED = TrialEnded("sgd-0", TrialState.COMPLETED, "epochs")


def epoch(number: int, score: float = 0.1) -> EpochRecorded:
    return EpochRecorded("sgd-0", number, {"val_accuracy": score})


def put_together(whole: Sequence[Happening], lost: set[int], found: Sequence[Happening] = ()) -> Rebuilt:
    """Of a journal with events at one and the same time, from 1 on, some are lost, and MLflow has others."""
    known = [Event(number, 0, what) for number, what in enumerate(whole, 1) if number not in lost]
    return rebuild(known, sorted(lost), [Event(0, 0, what) for what in found])


def tell(rebuilt: Rebuilt) -> list[str]:
    return [
        f"{what.kind} {what.epoch}" if isinstance(what, EpochRecorded) else what.kind
        for _, _, what in rebuilt.in_order()
    ]


@pytest.mark.parametrize(
    ("whole", "lost_epoch"),
    [
        ([START, epoch(1), PAUSED, GOES_ON, epoch(2), PAUSED, GOES_ON, epoch(3)], 2),
        ([START, epoch(1), PAUSED, GOES_ON, epoch(2), COMPLETED], 2),
        ([START, epoch(1), PAUSED, GOES_ON, epoch(2)], 2),
        ([START, epoch(1), PAUSED], 1),
    ],
)
def test_an_epoch_from_mlflow_stands_between_the_pauses_around_it(whole: list[Happening], lost_epoch: int) -> None:
    place = whole.index(epoch(lost_epoch)) + 1
    rebuilt = put_together(whole, {place}, [epoch(lost_epoch)])
    assert [what for _, _, what in rebuilt.in_order() if not isinstance(what, EpochRecorded)] == [
        what for what in whole if not isinstance(what, EpochRecorded)
    ]
    assert tell(rebuilt) == tell(put_together(whole, set()))
    assert not rebuilt.list_lost()


def test_an_epoch_is_not_put_where_another_event_of_its_trial_was_lost_before_its_pause_ended() -> None:
    other = TrialStarted(TrialRecord("sgd-1", 1, "sgd", "search", 0, {}))
    whole = [START, epoch(1), PAUSED, other, GOES_ON, epoch(2), COMPLETED]
    rebuilt = put_together(whole, {4, 6}, [epoch(2)])
    assert tell(rebuilt) == ["start_trial", "epoch 1", "pause", "go_on", "epoch 2", "end_trial"]
    assert rebuilt.slots == [4]


@pytest.mark.parametrize(
    ("whole", "lost", "given_up_after"),
    [
        ([START, epoch(1), PAUSED], {2}, ["start_trial"]),
        ([START, epoch(1), PAUSED, GOES_ON, epoch(2), PAUSED], {5}, ["start_trial", "epoch 1", "pause", "go_on"]),
    ],
)
def test_a_pause_without_its_epoch_says_that_the_epoch_is_lost(
    whole: list[Happening], lost: set[int], given_up_after: list[str]
) -> None:
    rebuilt = put_together(whole, lost)
    assert rebuilt.given_up == ["sgd-0"]
    assert tell(rebuilt) == [*given_up_after, "end_trial"]


def last_epoch(rebuilt: Rebuilt) -> EpochRecorded:
    return [what for _, _, what in rebuilt.in_order() if isinstance(what, EpochRecorded)][-1]


def test_a_trial_that_waits_has_its_best_epoch_again() -> None:
    whole = [START, epoch(1, 0.3), epoch(2, 0.5), epoch(3, 0.5), PAUSED]
    found = last_epoch(put_together(whole, {4}, [epoch(3, 0.5)]))
    assert (found.epoch, found.kept, found.summary) == (3, True, {"best_val_accuracy": 0.5, "best_epoch": 2.0})


@pytest.mark.parametrize(
    "whole",
    [
        [START, epoch(1), COMPLETED],  # MLflow has it with the end
        [START, epoch(1), PAUSED, COPIES, epoch(2), PAUSED],  # the best may be that of the other trial
        [START, epoch(1, float("nan")), PAUSED],
    ],
)
def test_no_best_epoch_is_made_up(whole: list[Happening]) -> None:
    assert not last_epoch(put_together(whole, set())).kept
