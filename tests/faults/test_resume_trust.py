"""A sweep goes on only as what it was begun as, whatever was changed, moved or deleted in between."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import ray
from checker import check_sweep
from PIL import Image

from sweeps.driver.driver import resume_sweep
from sweeps.errors import BadUsage, ExitCode
from sweeps.home import Home
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.recording.journal import Journal, JournalBusy
from tracking.store.queries import load_sweep
from trainer.config.own_rows import load_own_row

pytestmark = [pytest.mark.cluster]

SWEEP = """
name: trust
method: random
compare: optimizer
budget: {trials_per_arm: 1}
early_terminate: null
confirm: {top: 0}
parameters:
  dataset: imagefolder
  data_dir: images
  epochs: 2
  batch_size: 8
  width: 0.25
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1e-1}}
      "mine:Slow": {lr: {distribution: log_uniform_values, min: 1e-3, max: 1e-1}}
"""
MODULE = """
import torch
import helper

class Slow(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr * helper.FACTOR)
"""

FIRST_DRIVER = """
import sys
from pathlib import Path

from sweeps.driver.driver import run_sweep
from sweeps.home import Home
from sweeps.spec import load_spec

def stop(sweep, entry, event):
    sweep.stopping = sweep.stopping or event == "ended"

if __name__ == "__main__":
    sys.argv = ["/bin/sweeps", "run", "trust.yaml", "--set", "seed=3"]
    outcome = run_sweep(load_spec("trust.yaml", ["seed=3"]), Home(Path("results").absolute()), listeners=[stop])
    print(outcome.state)
"""


def draw_images(folder: Path) -> None:
    """Two classes of small random images, 20 of each to train on and 4 to test with."""
    random = np.random.default_rng(0)
    for part, number in (("train", 20), ("test", 4)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for index in range(number):
                pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a user whose sweep was stopped after its first trial."""
    place = tmp_path_factory.mktemp("trust")
    draw_images(place / "images")
    (place / "mine.py").write_text(MODULE)
    (place / "helper.py").write_text("FACTOR = 0.5\n")
    (place / "trust.yaml").write_text(SWEEP)
    (place / "first_driver.py").write_text(FIRST_DRIVER)
    done = subprocess.run([sys.executable, "first_driver.py"], cwd=place, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("interrupted\n"), done.stdout + done.stderr
    return place


@pytest.fixture
def home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SWEEPS_HOME", str(place / "results"))
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return Home(place / "results")


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@pytest.fixture
def kept(place: Path, home: Home) -> Iterator[bytes]:
    """The journal as it is, which a resume that is refused leaves so; files that a test changes are put back."""
    (sweep_id,) = home.sweep_ids()
    folder = home.folder(sweep_id)
    files = [place / "mine.py", place / "helper.py", folder.resolved_file, folder.manifest, folder.sweep_file]
    before = {file: file.read_bytes() for file in files}
    journal = folder.journal.read_bytes()
    yield journal
    assert folder.journal.read_bytes() == journal
    for file, content in before.items():
        file.write_bytes(content)


def refuse(home: Home, *expected: str, overrides: tuple[str, ...] = ()) -> None:
    with pytest.raises((BadUsage, JournalBusy)) as caught:
        resume_sweep(home.sweep_ids()[0], home, overrides=overrides)
    assert not ray.is_initialized()
    for text in expected:
        assert text in str(caught.value)


class TestRefused:
    """Before Ray starts, with the list of what has changed and the way out."""

    def test_an_edited_spec(self, place: Path, home: Home, kept: bytes) -> None:
        file = home.folder(home.sweep_ids()[0]).resolved_file
        file.write_text(file.read_text().replace("val_accuracy", "val_loss").replace("maximize", "minimize"))
        refuse(home, "metric.name: val_accuracy when it was begun, val_loss now", "put it back", "prior=[trust-")
        done = run(place, "resume")
        assert (done.returncode, done.stdout) == (ExitCode.BAD_USAGE, "")
        assert done.stderr.splitlines()[0].endswith("what changes its results has changed:")
        file.write_text("parameters: [")
        refuse(home, "resolved.yaml", f"delete {file} to go on as it was begun")
        assert kept

    def test_an_image_that_is_gone(self, place: Path, home: Home, kept: bytes) -> None:
        image = place / "images" / "train" / "cat" / "0.png"
        content = image.read_bytes()
        image.unlink()
        try:
            refuse(home, "images or labels of imagefolder are not those it was begun with")
        finally:
            image.write_bytes(content)
        assert kept

    def test_own_code_that_has_changed(self, place: Path, home: Home, kept: bytes) -> None:
        (place / "helper.py").write_text("FACTOR = 0.25\n")
        refuse(home, "own code: helper.py has changed")
        assert kept

    def test_a_budget_that_is_lowered_or_another_setting(self, home: Home, kept: bytes) -> None:
        refuse(home, "a resume only raises budgets", overrides=("parameters.epochs=9",))
        refuse(home, "budget.max_consecutive_failures: 3", overrides=("budget.max_consecutive_failures=1",))
        assert kept

    def test_a_run_that_was_deleted_in_mlflow(self, home: Home, kept: bytes) -> None:
        client, run_id = find_parent_run(home)
        client.delete_run(run_id)
        try:
            refuse(home, "its run was deleted in MLflow", f"mlflow runs restore --run-id {run_id}")
        finally:
            client.restore_run(run_id)
        assert kept

    def test_another_store(self, home: Home, kept: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
        refuse(home, "does not hold it, though", "set MLFLOW_TRACKING_URI to where it was recorded")
        assert kept

    def test_a_sweep_that_runs(self, home: Home, kept: bytes) -> None:
        journal = Journal(home.folder(home.sweep_ids()[0]).journal)
        try:
            refuse(home, "another process is running this sweep")
        finally:
            journal.close()
        assert kept

    def test_a_copy_goes_not_on_in_the_place_of_the_original(
        self, place: Path, home: Home, kept: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = {file: file.stat().st_mtime_ns for file in home.path.rglob("*") if file.is_file()}
        copy = Home(Path(shutil.copytree(home.path, tmp_path / "copy")))
        monkeypatch.setenv("SWEEPS_HOME", str(copy.path))
        refuse(copy, "this results folder was moved or copied", str(home.path / "artifacts"))
        folder = copy.folder(copy.sweep_ids()[0])
        folder.sweep_file.write_text("# a note of mine\n" + folder.sweep_file.read_text())
        done = run(place, "report")
        assert done.returncode == ExitCode.DONE, done.stderr
        assert "a note of mine" in folder.report.read_text()
        changed = [file for file, time in original.items() if file.stat().st_mtime_ns != time]
        assert changed == []
        assert kept


def find_parent_run(home: Home) -> tuple[mlflow.MlflowClient, str]:
    client = mlflow.MlflowClient(home.tracking_uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (parent,) = client.search_runs(ids, "tags.`sweep.state` LIKE '%'")
    return client, parent.info.run_id


@pytest.mark.thorough_fault
def test_it_goes_on_from_elsewhere_with_a_raised_budget_and_lost_files(
    place: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sweep_id,) = home.sweep_ids()
    folder = home.folder(sweep_id)
    folder.resolved_file.unlink()
    home.path.joinpath(sweep_id, "manifest.json").write_text("no JSON {")
    client, run_id = find_parent_run(home)
    experiment = client.get_run(run_id).info.experiment_id
    client.rename_experiment(experiment, "another name")
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}:{place}")  # of the user's modules
    done = run(tmp_path, "resume", sweep_id, "--set", "budget.trials_per_arm=2")
    assert done.returncode == ExitCode.DONE, done.stderr
    table = load_sweep(sweep_id, home.tracking_uri, folder.path)
    assert [trial.state for trial in table.select(stage=STAGE_SEARCH)] == [TrialState.COMPLETED] * 4
    assert table.project == "another name"
    manifest = json.loads(folder.manifest.read_text())
    assert manifest["command"] == "sweeps run trust.yaml --set seed=3"
    assert len(manifest["drivers"]) == 2
    assert "trials_per_arm: 2" in folder.resolved_file.read_text()
    assert client.get_run(run_id).data.tags["sweep.state"] == "completed"
    load_own_row.cache_clear()
    monkeypatch.setattr(sys, "path", [*sys.path, str(place)])
    check_sweep(home, sweep_id)


FRAIL = """
import os
import torch

class Slow(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        if os.path.exists(os.environ["BROKEN"]):
            raise OSError("the licence server is away")
        super().__init__(params, lr=lr)
"""


@pytest.mark.thorough_fault
def test_failed_trials_run_again_when_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    home, broken = Home(tmp_path / "results"), tmp_path / "broken"
    monkeypatch.setenv("SWEEPS_HOME", str(home.path))
    monkeypatch.setenv("BROKEN", str(broken))
    draw_images(tmp_path / "images")
    (tmp_path / "mine.py").write_text(FRAIL)
    (tmp_path / "trust.yaml").write_text(SWEEP.replace("top: 0", "top: 1"))
    broken.touch()
    done = run(tmp_path, "run", "trust.yaml", "--no-measure", "--set", "budget.trials_per_arm=2")
    assert done.returncode == ExitCode.SOME_TRIALS_FAILED, done.stderr
    (sweep_id,) = home.sweep_ids()
    broken.unlink()
    done = run(tmp_path, "resume", "--failed")
    assert done.returncode == ExitCode.DONE, done.stderr
    table = load_sweep(sweep_id, home.tracking_uri)
    assert {trial.state for trial in table.trials} == {TrialState.COMPLETED}
    assert [trial.arm for trial in table.select(stage=STAGE_CONFIRM)] == ["sgd", "mine:Slow"]
    done = run(tmp_path, "resume", "--failed")
    assert done.returncode == ExitCode.BAD_USAGE
    assert "no trial can run again" in done.stderr
    monkeypatch.chdir(tmp_path)
    load_own_row.cache_clear()
    sys.modules.pop("mine", None)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    check_sweep(home, sweep_id)
