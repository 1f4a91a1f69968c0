"""What the end of a sweep has left undone is done by `sweeps sync` and `sweeps report`, once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forked import run_forked
from mlflow import MlflowClient
from recorded import *  # noqa: F403  # the fixtures
from recorded import RESOLVED, build_small_table, record_table
from stores import *  # noqa: F403  # the fixtures

from sweeps.driver.settling import settle
from sweeps.home import Home
from tracking.recording.journal import Journal
from tracking.recording.recorder import Recorder
from trainer.config import build_trial_config
from trainer.data.load import load_dataset
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import write_checkpoint
from trainer.loop.training_run import TrainingRun

WINNER = "adam-confirm-000"
DONE = ("its report is stored with its run in MLflow", f"its winner, {WINNER}, is registered as a model")


def sweeps(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SWEEPS_HOME": str(home.path)}
    command = [sys.executable, "-m", "sweeps.cli", *arguments]
    return run_forked(command, cwd=home.path, env=environment)


def list_versions(home: Home) -> list[str]:
    return [each.tags["trial.id"] for each in MlflowClient(home.tracking_uri).search_model_versions("name='cifar10'")]


@pytest.fixture
def unsettled(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A sweep that is over and recorded, whose report is not stored and whose winner's network is not registered."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home(tmp_path / "results")
    home.path.mkdir()
    shutil.copy(empty_store, home.path / "mlflow.db")
    data = load_dataset("synthetic", None)
    table = build_small_table(manifest={"data": {"name": "synthetic", "digest": data.digest}})
    folder = home.folder(table.sweep_id)
    record_table(table, Recorder(home.tracking_uri, folder.journal, artifact_root=home.artifact_root))
    folder.resolved_file.write_text(RESOLVED)
    (winner,) = (trial for trial in table.trials if trial.trial_id == WINNER)
    run = TrainingRun(build_trial_config(winner.parameters), data, device="cpu")
    run.run_epoch()
    write_checkpoint(run, folder.ray / "trials-0000" / WINNER / "checkpoint_000000")
    return home


def test_a_report_is_stored_and_a_winner_registered_once(unsettled: Home) -> None:
    (sweep_id,) = unsettled.sweep_ids()
    assert settle(sweep_id, unsettled).done == DONE
    assert list_versions(unsettled) == [WINNER]
    assert unsettled.folder(sweep_id).checkpoints(WINNER) == (), "it is in MLflow now"
    again = settle(sweep_id, unsettled)
    assert (again.done, again.num_delivered, again.problem) == ((), 0, "")
    assert list_versions(unsettled) == [WINNER]


def test_other_images_are_not_taken_for_those_of_the_training(unsettled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep_id,) = unsettled.sweep_ids()
    monkeypatch.setattr("trainer.data.load.load_dataset", lambda *_: draw_synthetic(100, 20))
    problem = settle(sweep_id, unsettled).problem
    assert "the images of synthetic are not those that it was trained on; put them back" in problem
    assert unsettled.folder(sweep_id).checkpoints(WINNER) != ()
    assert list_versions(unsettled) == []


def test_the_command_says_what_it_has_done_for_each_sweep(unsettled: Home) -> None:
    (sweep_id,) = unsettled.sweep_ids()
    done = sweeps(unsettled, "sync")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{sweep_id}: {sentence}" for sentence in DONE]
    assert sweeps(unsettled, "sync", sweep_id).stdout.splitlines() == [f"{sweep_id}: MLflow has everything"]
    told = json.loads(sweeps(unsettled, "sync", "--json").stdout)
    assert told == {sweep_id: {"delivered_events": 0, "done": [], "problem": ""}}


def test_the_report_says_it_too(unsettled: Home) -> None:
    lines = sweeps(unsettled, "report").stdout.splitlines()
    assert lines[:2] == list(DONE)


def test_a_sweep_that_runs_is_left_alone(unsettled: Home) -> None:
    (sweep_id,) = unsettled.sweep_ids()
    journal = Journal(unsettled.folder(sweep_id).journal)
    try:
        done = sweeps(unsettled, "sync")
    finally:
        journal.close()
    assert done.stdout.splitlines() == [f"{sweep_id}: it runs, and its driver sends what waits"]


def test_without_a_sweep_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert sweeps(Home(tmp_path), "sync").stdout.splitlines() == ["no sweep has a journal here"]
