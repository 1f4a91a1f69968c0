"""Servers that go away: nothing recorded is lost, nothing is there twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tracking.names import TrialState
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder, deliver_journal
from tracking.store.connection import TrackingUnavailable, check_tracking
from tracking.store.queries import load_sweep

SECONDS = 90.0

OpenRecorder = Callable[..., Recorder]
BuildTrial = Callable[..., TrialRecord]


def read_points(uri: str, project: str) -> dict[str, list[int]]:
    """The steps of val_loss of every run that has any, as MLflow holds them."""
    client = MlflowClient(uri)
    points = {}
    for run in read_runs(uri, project):
        if "val_loss" in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, "val_loss")]
            points[str(run.info.run_name)] = sorted(steps)
    return points


def read_runs(uri: str, project: str) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(project)
    return list(client.search_runs([experiment.experiment_id]))


def wait_for_problem(recorder: Recorder) -> str | None:
    """What the recorder says once a call has failed: its tries take seconds, more on a busy machine."""
    end = time.monotonic() + SECONDS
    while recorder.problem is None and time.monotonic() < end:
        time.sleep(0.05)
    return recorder.problem


# A server that goes away


def test_a_server_that_stops_and_comes_back_gets_everything(
    mlflow_server: Any, open_recorder: OpenRecorder, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    first, second = build_trial(0), build_trial(1)
    recorder = open_recorder(mlflow_server.uri)
    recorder.start_sweep(sweep)
    recorder.start_trial(first)
    recorder.record_epoch(first.trial_id, 1, {"val_loss": 1.0})
    assert recorder.flush(SECONDS)

    mlflow_server.stop()
    recorder.record_epoch(first.trial_id, 2, {"val_loss": 0.5})
    recorder.start_trial(second)
    for epoch in range(1, 101):
        recorder.record_epoch(second.trial_id, epoch, {"val_loss": 1 / epoch})
    recorder.end_trial(first.trial_id, TrialState.COMPLETED, "", {})
    # All calls have come back, though nothing could be sent: they do not wait for the server.
    assert recorder.pending == 103
    assert not recorder.flush(2.0)
    problem = wait_for_problem(recorder)
    mlflow_server.start()
    assert recorder.flush(SECONDS)
    recorder.end_trial(second.trial_id, TrialState.COMPLETED, "", {})
    report = tmp_path / "report.html"
    report.write_text("<html>")
    recorder.end_sweep("completed", "", (report,))
    assert recorder.close(SECONDS)

    assert problem is not None
    assert "Connection refused" in problem
    assert "103 events wait in" in problem
    assert recorder.problem is None
    points = read_points(mlflow_server.uri, sweep.project)
    assert points == {first.trial_id: [1, 2], second.trial_id: list(range(1, 101))}
    table = load_sweep(sweep.sweep_id, mlflow_server.uri)
    assert table.state == "completed"
    assert table.sweep_file == sweep.sweep_file
    assert [trial.state for trial in table.trials] == [TrialState.COMPLETED] * 2


def test_what_a_server_never_got_is_delivered_later(
    open_recorder: OpenRecorder, sqlite_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    trial = build_trial()
    recorder = open_recorder("http://127.0.0.1:9")  # nothing listens there
    recorder.start_sweep(sweep)
    recorder.start_trial(trial)
    recorder.record_epoch(trial.trial_id, 1, {"val_loss": 1.0})
    recorder.end_trial(trial.trial_id, TrialState.COMPLETED, "", {})
    recorder.end_sweep("completed")
    assert not recorder.close(1.0)
    assert recorder.pending == 5

    journal = tmp_path / "sweep" / "journal.jsonl"
    with pytest.raises(TrackingUnavailable, match="Connection refused"):
        deliver_journal("http://127.0.0.1:9", journal)
    num_events = deliver_journal(sqlite_uri, journal)

    assert num_events == 5
    assert read_points(sqlite_uri, sweep.project) == {trial.trial_id: [1]}
    assert load_sweep(sweep.sweep_id, sqlite_uri).state == "completed"


# PostgreSQL


@pytest.mark.postgres
def test_a_sweep_in_postgresql(
    postgres_uri: str, open_recorder: OpenRecorder, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    check_tracking(postgres_uri, 120.0)
    trial = build_trial()
    recorder = open_recorder(postgres_uri)
    recorder.start_sweep(sweep)
    recorder.start_trial(trial)
    for epoch in (1, 2, 2, 3):
        recorder.record_epoch(trial.trial_id, epoch, {"val_loss": 1 / epoch, "train_loss": float("nan")})
    recorder.end_trial(trial.trial_id, TrialState.EARLY_STOPPED, "asha", {"best_val_loss": 1 / 3})
    recorder.end_sweep("completed", "note")
    assert recorder.close(SECONDS)
    journal = tmp_path / "sweep" / "journal.jsonl"
    journal.with_name("journal.jsonl.delivered").unlink()
    deliver_journal(postgres_uri, journal)

    assert recorder.problem is None
    assert read_points(postgres_uri, sweep.project) == {trial.trial_id: [1, 2, 3]}
    row = load_sweep(sweep.sweep_id, postgres_uri).trials[0]
    assert row.state is TrialState.EARLY_STOPPED
    assert row.history["val_loss"] == ((1, 1.0), (2, 0.5), (3, 1 / 3))
    assert "train_loss" not in row.history
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"s3cret-Pa55" not in file.read_bytes(), f"the password is in {file}"


# Passwords and preflight


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://sweeps:s3cret%2FPa55@127.0.0.1:9/mlflow",
        "postgresql+psycopg2://127.0.0.1:9/mlflow?user=sweeps&password=s3cret%2FPa55",
        "http://sweeps:s3cret%2FPa55@127.0.0.1:9",
    ],
)
def test_a_password_is_never_shown_or_written(
    uri: str, open_recorder: OpenRecorder, sweep: SweepRecord, tmp_path: Path
) -> None:
    recorder = open_recorder(uri)
    recorder.start_sweep(sweep)
    assert not recorder.flush(2.0)
    recorder.close(0.0)
    with pytest.raises(TrackingUnavailable) as caught:
        check_tracking(uri, 10.0)

    shown = [recorder.problem or "", str(caught.value)]
    shown += [file.read_text() for file in (tmp_path / "sweep").rglob("*") if file.is_file()]
    assert "Connection refused" in shown[0]
    assert not [text for text in shown if "s3cret" in text or "Pa55" in text]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://127.0.0.1:9", r"http://127\.0\.0\.1:9: Connection refused\. Start the server, or set MLFLOW_TRACKING"),
        ("postgresql://u@127.0.0.1:9/db", "Connection refused"),
        ("./mlruns", "folders of files are no longer a tracking store"),
        ("file:///tmp/mlruns", "folders of files are no longer a tracking store"),
        ("http://127.0.0.1:port", "not a valid URI"),
        ("sqlite:////proc/nowhere/mlflow.db", "cannot be created"),
        ("nonsense://x", "MLflow at nonsense://x"),
    ],
)
def test_preflight_says_what_is_wrong_and_what_to_do(uri: str, message: str) -> None:
    with pytest.raises(TrackingUnavailable, match=message):
        check_tracking(uri, 15.0)


def test_preflight_of_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, " * 100)

    with pytest.raises(TrackingUnavailable, match="Move the file away"):
        check_tracking(f"sqlite:///{path}", 30.0)


def test_reading_from_nowhere_names_the_remedy() -> None:
    with pytest.raises(TrackingUnavailable, match=r"Connection refused.*MLFLOW_TRACKING_URI"):
        load_sweep("x", "http://127.0.0.1:9")
