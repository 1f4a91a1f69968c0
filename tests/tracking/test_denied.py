"""A server that asks for a password: a wrong one, a right that is missing, one that has expired on the way."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import run_forked
from mlflow import MlflowClient
from stores import USERS, MlflowServer, change_password, log_in

from sweeps.errors import ExitCode
from tracking.names import TrialState
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder, deliver_journal
from tracking.store.connection import TrackingUnavailable, check_tracking
from tracking.store.queries import list_sweeps, load_sweep
from tracking.store.runs import check_writable

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("store_uri", ["server"], indirect=True)]

SECONDS = 60.0
OpenRecorder = Callable[..., Recorder]
BuildTrial = Callable[..., TrialRecord]


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_said_with_what_to_do(
    password: str, store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, "trainer", password)
    questions: list[Callable[[], object]] = [
        lambda: check_tracking(store_uri, SECONDS),
        lambda: list_sweeps(store_uri, 1),
        lambda: load_sweep("optimizers-20261124-031500-9f3a", store_uri),
    ]
    for ask in questions:
        began = time.monotonic()
        with pytest.raises(TrackingUnavailable, match=r"\(401\).*MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASS"):
            ask()
        assert time.monotonic() - began < 20.0


@pytest.mark.parametrize("why", ["password changed", "another user", "no password"])
def test_what_a_server_denies_on_the_way_is_kept_and_delivered_later(
    why: str,
    store_uri: str,
    auth_server: MlflowServer,
    open_recorder: OpenRecorder,
    sweep: SweepRecord,
    build_trial: BuildTrial,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    trial, journal = build_trial(), tmp_path / "sweep" / "journal.jsonl"
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    recorder.start_trial(trial)
    recorder.record_epoch(trial.trial_id, 1, {"val_loss": 1.0})
    assert recorder.flush(SECONDS)

    if why == "password changed":
        change_password(auth_server, "trainer", "another-s3cret-Pa55")
    elif why == "another user":
        log_in(monkeypatch, "reader")
    else:
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
        monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    recorder.record_epoch(trial.trial_id, 2, {"val_loss": 0.5})
    recorder.end_trial(trial.trial_id, TrialState.COMPLETED, "", {})
    recorder.end_sweep("completed")
    began = time.monotonic()
    assert not recorder.flush(600.0)  # waiting would change nothing
    assert not recorder.close(600.0)
    with pytest.raises(TrackingUnavailable, match="MLFLOW_TRACKING_USERNAME"):
        deliver_journal(store_uri, journal)
    assert time.monotonic() - began < 60.0
    assert recorder.problem is not None
    assert ("(403)" if why == "another user" else "(401)") in recorder.problem
    assert "MLFLOW_TRACKING_USERNAME" in recorder.problem
    assert "3 events wait in" in recorder.problem
    assert "s3cret" not in recorder.problem

    change_password(auth_server, "trainer", USERS["trainer"])
    log_in(monkeypatch, "trainer")
    assert deliver_journal(store_uri, journal) == 3
    (row,) = load_sweep(sweep.sweep_id, store_uri).trials
    assert row.history["val_loss"] == ((1, 1.0), (2, 0.5))
    assert row.state is TrialState.COMPLETED


def test_a_right_that_is_missing_and_a_deleted_experiment_are_found_before_the_start(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        check_tracking(store_uri, SECONDS, lambda client: check_writable(client, "cifar10"))

    check()
    experiment_id = MlflowClient(store_uri).create_experiment("cifar10")
    check()
    log_in(monkeypatch, "reader")
    check_tracking(store_uri, SECONDS)  # who only reads may do that
    with pytest.raises(TrackingUnavailable, match=r"\(403\)\. Ask for the permission EDIT on the experiment"):
        check()
    log_in(monkeypatch, "trainer")
    MlflowClient(store_uri).delete_experiment(experiment_id)
    with pytest.raises(TrackingUnavailable, match="experiment 'cifar10' is deleted in MLflow: restore it there, or"):
        check()


@pytest.mark.parametrize(
    ("who", "expected"), [("wrong password", "(401). Set MLFLOW_TRACKING_USERNAME"), ("reader", "(403). Ask for")]
)
def test_a_sweep_that_may_not_record_is_refused_in_one_sentence(
    who: str, expected: str, store_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    MlflowClient(store_uri).create_experiment("cifar10")
    log_in(monkeypatch, "trainer", "wrong") if who == "wrong password" else log_in(monkeypatch, "reader")
    file = tmp_path / "sweep.yaml"
    file.write_text("name: denied\nmethod: grid\nparameters: {dataset: synthetic, lr: {values: [0.1, 0.2]}}\n")
    done = run_forked(
        [sys.executable, "-m", "sweeps.cli", "run", str(file)],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": store_uri, "SWEEPS_HOME": str(tmp_path / "results")},
    )
    assert done.returncode == ExitCode.UNREACHABLE, done.stdout + done.stderr
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "results").glob("*/journal.jsonl"))
