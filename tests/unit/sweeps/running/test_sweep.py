"""The budget's hours over several drivers of one sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from sweeps.home import SweepFolder
from sweeps.running.replay import DeafRecorder, replay
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking.ranking import Goal
from tracking.recording.events import Event, Happening, PhaseNoted, SweepRecord, SweepStarted
from tracking.recording.recorder import Recorder

HOUR_MS = 3_600_000
STARTED = SweepStarted(SweepRecord("s", "s", "p", "", "", "", {}, {}, "val_accuracy", "maximize", None, ("all",), ()))


@pytest.fixture
def sweep(tmp_path: Path) -> RunningSweep:
    """One that may take two hours."""
    file = tmp_path / "sweep.yaml"
    file.write_text("method: random\nbudget: {trials: 4, hours: 2}\nparameters: {lr: {min: 0.1, max: 0.2}}\n")
    return RunningSweep(
        sweep_id="s",
        spec=load_spec(file),
        ledger=Ledger(Goal.MAXIMIZE, ("all",)),
        rules=ArmRules(("all",), None, 5, {"all": 4}, 0),
        recorder=cast("Recorder", DeafRecorder()),
        folder=SweepFolder(tmp_path),
        num_trials={"all": 4},
    )


def resume(sweep: RunningSweep, *happened: tuple[float, Happening]) -> None:
    """Replays what happened after so many hours."""
    events = [Event(number, round(HOUR_MS * hours), what) for number, (hours, what) in enumerate(happened, 1)]
    replay(sweep, cast("Sequence[Event]", events))


def is_over(sweep: RunningSweep, hours: float) -> bool:
    return bool(sweep.search_end("all", round(HOUR_MS * hours)))


def test_hours_count_under_drivers_alone(sweep: RunningSweep) -> None:
    resume(sweep, (0.0, STARTED), (0.4, PhaseNoted("")), (20.0, STARTED), (20.9, PhaseNoted("")))
    sweep.begin(100 * HOUR_MS)
    assert not is_over(sweep, 100.69)
    assert is_over(sweep, 100.71)


def test_hours_are_used_up_however_many_drivers_shared_them(sweep: RunningSweep) -> None:
    resume(
        sweep, *((start + part, STARTED if not part else PhaseNoted("")) for start in (0, 10, 20) for part in (0, 0.7))
    )
    sweep.begin(30 * HOUR_MS)
    assert is_over(sweep, 30.0)


def test_a_pause_costs_no_hours(sweep: RunningSweep) -> None:
    now = [0]
    sweep.clock_ms = lambda: now[0]
    sweep.begin(0)
    now[0] = HOUR_MS
    sweep.note_phase("paused")
    assert not is_over(sweep, 50.0)
    assert sweep.elapsed_seconds() == 3600
    now[0] = 50 * HOUR_MS
    sweep.note_phase("")
    assert not is_over(sweep, 50.9)
    assert is_over(sweep, 51.1)


def test_a_clock_that_is_set_back_or_forward_changes_nothing(
    sweep: RunningSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep.begin(sweep.clock_ms())
    now = time.time()
    for moved in (-HOUR_MS, 9 * HOUR_MS):
        monkeypatch.setattr(time, "time", lambda moved=moved: now + moved / 1000)
        assert 0 <= sweep.elapsed_seconds() < 60
        assert not sweep.search_end("all")
