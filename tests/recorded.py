"""A sweep that was recorded and is only read: two arms, each with six trials and a retraining."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from build_table import build_table

from sweeps.home import Home
from tracking.analysis.leaderboard import build_leaderboard, format_markdown
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder
from tracking.table import SweepTable

__all__ = [
    "RESOLVED",
    "build_small_table",
    "record_table",
    "record_trials",
    "recorded",
    "recorded_folder",
    "start_recording",
]

RESOLVED = """
name: optimizers
project: cifar10
method: random
compare: optimizer
budget: {trials_per_arm: 6}
early_terminate: {type: asha}
confirm: {top: 1, seeds: 1}
resources: {cpu: 1}
seed: 7
parameters:
  dataset: synthetic
  train_size: 320
  width: 0.25
  epochs: 9
  batch_size: {values: [32, 64, 128]}
  initializer: {values: [glorot_uniform, he_normal]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 3}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}}
"""


def build_small_table(**changes: object) -> SweepTable:
    """Two arms of the sweep of formulas, with settings that train in seconds; `changes` replaces fields."""
    table = build_table(arms=("sgd", "adam"), sweep_file=RESOLVED)
    small = {"dataset": "synthetic", "train_size": 320, "width": 0.25}
    trials = tuple(
        replace(trial, parameters={**trial.parameters, **small}) for trial in table.trials if trial.arm in table.arms
    )
    return replace(table, **{"trials": trials, **changes})  # type: ignore[arg-type]


def record_table(table: SweepTable, recorder: Recorder) -> None:
    """Records a sweep as its driver would have done."""
    start_recording(table, recorder)
    record_trials(table, recorder)
    recorder.end_sweep("completed", format_markdown(build_leaderboard(table)))
    assert recorder.close(120.0), recorder.problem


def start_recording(table: SweepTable, recorder: Recorder) -> None:
    recorder.start_sweep(
        SweepRecord(
            sweep_id=table.sweep_id,
            name=table.name,
            project=table.project,
            description="",
            sweep_file=table.sweep_file,
            resolved=table.sweep_file,
            manifest=table.manifest,
            tags={},
            goal_metric=table.goal_metric,
            goal=table.goal,
            compare=table.compare,
            arms=table.arms,
            searched=table.searched,
            notices=table.notices,
        )
    )


def record_trials(table: SweepTable, recorder: Recorder) -> None:
    for trial in table.trials:
        recorder.start_trial(
            TrialRecord(trial.trial_id, trial.number, trial.arm, trial.stage, trial.seed, trial.parameters)
        )
        for epoch in range(1, trial.num_epochs + 1):
            values = {name: points[epoch - 1][1] for name, points in trial.history.items()}
            recorder.record_epoch(trial.trial_id, epoch, values)
        assert trial.state is not None
        recorder.end_trial(trial.trial_id, trial.state, trial.stop_reason, trial.summary)


def record_in(home: Home, table: SweepTable) -> None:
    """Records a sweep in a results folder."""
    recorder = Recorder(home.tracking_uri, home.folder(table.sweep_id).journal, artifact_root=home.artifact_root)
    record_table(table, recorder)


@pytest.fixture(scope="session")
def recorded_folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The results folder of a recorded sweep, to be copied and not to be changed."""
    folder = tmp_path_factory.mktemp("recorded") / "results"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        record_in(Home(folder), build_small_table())
    return folder


@pytest.fixture
def recorded(recorded_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of the recorded sweep, in the results folder that commands use."""
    shutil.copytree(recorded_folder, tmp_path / "results")
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "results"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Home(tmp_path / "results")
