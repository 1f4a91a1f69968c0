from __future__ import annotations

import time

import pytest

from tracking.names import SweepState
from tracking.recording.clock import Clock, DriverTime
from tracking.recording.events import Event, Happening, PhaseNoted, SweepEnded, SweepRecord, SweepStarted, TrialPaused

STARTED = SweepStarted(
    SweepRecord(
        sweep_id="s",
        name="s",
        project="p",
        description="",
        sweep_file="",
        resolved="",
        manifest={},
        tags={},
        goal_metric="val_accuracy",
        goal="maximize",
        compare=None,
        arms=("all",),
        searched=(),
    )
)
ENDED, SEEN = SweepEnded(SweepState.INTERRUPTED), TrialPaused("t")


def elapsed(*happened: tuple[int, Happening], now: int | None = None) -> int:
    driven = DriverTime()
    for sequence, (time_ms, what) in enumerate(happened, 1):
        driven.take(Event(sequence, time_ms, what))
    return driven.elapsed_ms(happened[-1][0] if now is None else now)


def test_time_counts_from_the_drivers_begin_until_now() -> None:
    assert DriverTime().elapsed_ms(99) == 0
    assert elapsed((100, STARTED), (150, SEEN), now=190) == 90


def test_the_night_between_two_drivers_does_not_count() -> None:
    ended = [(100, STARTED), (150, SEEN), (160, ENDED)]
    assert elapsed(*ended, now=9000) == 60
    assert elapsed(*ended, (9000, STARTED), now=9010) == 70
    killed = ended[:2]
    assert elapsed(*killed, (9000, STARTED), now=9010) == 60, "until its last event, of one that was killed"


def test_a_pause_does_not_count() -> None:
    paused = [(100, STARTED), (110, PhaseNoted("paused")), (500, SEEN)]
    assert elapsed(*paused, now=900) == 10
    assert elapsed(*paused, (900, PhaseNoted("")), now=930) == 40
    assert elapsed(*paused, (900, PhaseNoted("stopping")), (930, ENDED), now=1000) == 40
    assert elapsed(*paused, (900, STARTED), now=930) == 40, "killed in its pause"


def test_a_clock_that_was_set_back_takes_nothing_away() -> None:
    assert elapsed((5000, STARTED), (5100, SEEN), (40, STARTED), (90, SEEN), now=100) == 160
    assert elapsed((5000, STARTED), (5100, SEEN), (40, ENDED), now=50) >= 0


def test_the_clock_begins_no_earlier_than_the_last_event_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    late = int(time.time() * 1000) + 3_600_000
    clock = Clock(late)
    assert late <= clock.now_ms() < late + 60_000
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.now_ms() >= late
