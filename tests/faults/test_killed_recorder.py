"""A process that records is killed with SIGKILL: what is in its journal gets into MLflow, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from forked import run_forked
from mlflow import MlflowClient
from mlflow.entities import Run
from stores import THOROUGH_STORES

from tracking.names import TrialState
from tracking.recording.clock import DriverTime
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.journal import Journal
from tracking.recording.progress import Progress
from tracking.recording.recorder import Recorder, deliver_journal
from tracking.store.queries import list_sweeps, load_sweep

pytestmark = pytest.mark.parametrize("store_uri", THOROUGH_STORES, indirect=True)

SECONDS = 90.0
DRIVER = Path(__file__).with_name("recording_driver.py")
KILL_AT = DRIVER.with_name("kill_at.py")
TRIALS = ["all-000", "all-001", "all-002"]

OpenRecorder = Callable[..., Recorder]


def read_runs(uri: str) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("crashes")
    return list(client.search_runs([experiment.experiment_id]))


def read_points(uri: str) -> dict[str, list[int]]:
    """The steps of val_loss of every run that has any, as MLflow holds them."""
    client = MlflowClient(uri)
    points = {}
    for run in read_runs(uri):
        if "val_loss" in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, "val_loss")
            points[str(run.info.run_name)] = sorted(point.step for point in history)
    return points


def check_series(uri: str, journal: Path) -> None:
    """Raises where the series of the sweep's own run are not those that the journal gives, each point once."""
    opened, time, progress = Journal(journal), DriverTime(), Progress()
    opened.close()
    expected: dict[str, list[tuple[int, float]]] = {}
    for event in opened.events:
        time.take(event)
        for point in progress.take(event, time.elapsed_ms(event.time_ms) // 1000):
            expected.setdefault(point.key, []).append((point.step, point.value))
    client = MlflowClient(uri)
    (parent,) = (run for run in read_runs(uri) if run.info.run_name == "crash-1")
    histories = {key: client.get_metric_history(parent.info.run_id, key) for key in parent.data.metrics}
    assert {key: sorted((each.step, each.value) for each in points) for key, points in histories.items()} == expected


def run_until(said: str, uri: str, journal: Path) -> None:
    """Runs the driver until it says so, then kills it with SIGKILL."""
    command = [sys.executable, str(DRIVER), uri, str(journal)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        lines = iter(driver.stdout.readline, "")
        assert any(line.strip() == said for line in lines), "the driver ended by itself"
        driver.kill()
        driver.wait()


@pytest.mark.parametrize("said", ["half", "all"])
def test_a_killed_driver_loses_nothing_and_leaves_no_run_open(said: str, store_uri: str, tmp_path: Path) -> None:
    journal = tmp_path / "crash" / "journal.jsonl"
    run_until(said, store_uri, journal)

    deliver_journal(store_uri, journal)

    points = read_points(store_uri)
    least = 20 if said == "half" else 40
    assert sorted(points) == TRIALS
    for steps in points.values():
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= least
    runs = read_runs(store_uri)
    assert len(runs) == 4
    assert {run.info.status for run in runs} == {"KILLED"}
    assert list_sweeps(store_uri, 1)[0].state == "interrupted"
    check_series(store_uri, journal)


@pytest.mark.parametrize("marker_survives", [True, False])
def test_a_resume_after_a_kill_repeats_no_epoch(
    marker_survives: bool, open_recorder: OpenRecorder, store_uri: str, tmp_path: Path
) -> None:
    journal = tmp_path / "crash" / "journal.jsonl"
    run_until("half", store_uri, journal)
    if not marker_survives:  # killed between a delivery and the note that it was made
        (tmp_path / "crash" / "journal.jsonl.delivered").unlink()

    recorder = open_recorder(store_uri, journal)
    recorder.start_sweep(
        SweepRecord("crash-1", "crash", "crashes", "", "", "", {}, {}, "val_loss", "minimize", None, ("all",), ("lr",))
    )
    for number in range(2):
        recorder.start_trial(TrialRecord(f"all-{number:03d}", number, "all", "search", number, {"lr": 0.1}))
        for epoch in range(11, 51):  # from a checkpoint made before the kill
            recorder.record_epoch(f"all-{number:03d}", epoch, {"val_loss": 1 / epoch})
        recorder.end_trial(f"all-{number:03d}", TrialState.COMPLETED, "", {})
    recorder.end_sweep("completed")
    assert recorder.close(SECONDS)

    points = read_points(store_uri)
    assert points["all-000"] == points["all-001"] == list(range(1, 51))
    assert len(read_runs(store_uri)) == 4
    states = {trial.trial_id: trial.state for trial in load_sweep("crash-1", store_uri).trials}
    assert states == {
        "all-000": TrialState.COMPLETED,
        "all-001": TrialState.COMPLETED,
        "all-002": TrialState.STOPPED,
    }
    check_series(store_uri, journal)


def read_journal(journal: Path) -> list[dict[str, Any]]:
    """Its events; a line that the kill has torn is none."""
    events = []
    for line in journal.read_bytes().splitlines():
        with suppress(ValueError):
            events.append(json.loads(line))
    return events


FAST_KILLS = [
    ("after", "mlflow:MlflowClient.create_run", 3),
    ("before", "tracking.recording.journal:Journal.mark_delivered", 2),
    ("amid", "tracking.recording.journal:Journal.append", 40),
]
THOROUGH_KILLS = [
    ("before", "mlflow:MlflowClient.create_experiment", 1),
    ("after", "mlflow:MlflowClient.create_experiment", 1),
    ("after", "mlflow:MlflowClient.create_run", 1),
    ("before", "mlflow:MlflowClient.log_batch", 4),
    ("after", "mlflow:MlflowClient.log_batch", 4),
    ("after", "mlflow:MlflowClient.set_terminated", 2),
    ("after", "mlflow:MlflowClient.set_terminated", 4),
    ("before", "tracking.recording.delivery:Delivery.deliver", 1),
    ("before", "tracking.recording.delivery:Delivery.deliver", 2),
    ("before", "pathlib:Path.replace", 2),
    ("amid", "tracking.recording.journal:Journal.append", 1),
    ("after", "tracking.recording.recorder:Recorder.end_sweep", 1),
]


@pytest.mark.parametrize(
    ("when", "place", "number"),
    [*FAST_KILLS, *(pytest.param(*kill, marks=pytest.mark.thorough_fault) for kill in THOROUGH_KILLS)],
)
def test_a_recorder_killed_at_a_certain_call(
    when: str, place: str, number: int, store_uri: str, tmp_path: Path
) -> None:
    journal = tmp_path / "crash" / "journal.jsonl"
    command = [sys.executable, str(KILL_AT), when, place, str(number), str(DRIVER), store_uri, str(journal)]
    done = run_forked(command)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    events = read_journal(journal)
    if not events:  # its first event was never taken
        assert deliver_journal(store_uri, journal) == 0
        return
    for _ in range(2):  # the second time changes nothing
        deliver_journal(store_uri, journal)
        steps: dict[str, list[int]] = {}
        for event in events:
            if event["kind"] == "epoch":
                steps.setdefault(event["trial_id"], []).append(event["content"]["epoch"])
        assert read_points(store_uri) == steps
        runs = read_runs(store_uri)
        started = [event["trial_id"] for event in events if event["kind"] == "start_trial"]
        assert sorted(run.info.run_name for run in runs) == sorted(["crash-1", *started])
        ended = {event["trial_id"] for event in events if event["kind"] == "end_trial"}
        done_sweep = any(event["kind"] == "end_sweep" for event in events)
        for run in runs:
            is_done = run.info.run_name in ended or (done_sweep and run.info.run_name == "crash-1")
            assert run.info.status == ("FINISHED" if is_done else "KILLED"), run.info.run_name
        check_series(store_uri, journal)
        (tmp_path / "crash" / "journal.jsonl.delivered").unlink()
