"""A sweep that the version of November 2026 recorded, until its driver was killed, is read, reported and gone on with.

`recorded-2026-11/killed` has what a real sweep had left in its folder by then, and the tables of its SQLite file as
SQL text in which RESULTS stands for the results folder. A change of these files is a change of what can be resumed.
"""

from __future__ import annotations

import lzma
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from checker import check_sweep
from small_sweep import home

from sweeps.driver.settling import settle
from sweeps.errors import ExitCode
from sweeps.home import Home
from sweeps.running.build import build_sweep
from sweeps.running.repair import open_journal
from sweeps.running.replay import replay
from sweeps.spec import load_spec
from tracking.analysis.leaderboard import build_leaderboard
from tracking.names import TrialState
from tracking.recording.recorder import Recorder
from tracking.store.queries import load_sweep

__all__ = ["home"]

RECORDED = Path(__file__).with_name("recorded-2026-11") / "killed"
SWEEP_ID = "recorded-20261128-085402-004e"
SEARCHED = {  # trial -> its state, its epochs and its best validation accuracy
    "sgd-000": (TrialState.COMPLETED, 3, 0.1005),
    "sgd-001": (TrialState.COMPLETED, 3, 0.1015),
    "adam-000": (TrialState.COMPLETED, 3, 0.1105),
    "adam-001": (TrialState.EARLY_STOPPED, 1, 0.098),
}


@pytest.fixture
def recorded(home: Home) -> Home:
    """The results folder as the killed driver had left it."""
    folder = home.folder(SWEEP_ID)
    folder.path.mkdir(parents=True)
    for file in RECORDED.iterdir():
        if file.name != "mlflow.sql.xz":
            shutil.copy(file, folder.path)
    sql = lzma.decompress((RECORDED / "mlflow.sql.xz").read_bytes()).decode()
    (home.path / "mlflow.db").unlink()
    with closing(sqlite3.connect(home.path / "mlflow.db")) as connection:
        connection.executescript(sql.replace("RESULTS", str(home.path)))
    return home


def test_its_store_is_read(recorded: Home) -> None:
    table = load_sweep(SWEEP_ID, recorded.tracking_uri)
    found = {trial.trial_id: trial for trial in table.trials}
    assert set(found) == {*SEARCHED, "sgd-confirm-00", "adam-confirm-00"}
    for trial_id, (state, num_epochs, best) in SEARCHED.items():
        trial = found[trial_id]
        assert (trial.state, trial.num_epochs) == (state, num_epochs)
        assert trial.summary["best_val_accuracy"] == pytest.approx(best)
    assert found["adam-confirm-00"].state is None, "MLflow had not got its end"


def test_what_its_journal_holds_is_delivered_and_reported(recorded: Home) -> None:
    settled = settle(SWEEP_ID, recorded)
    assert settled.num_delivered > 0
    assert settled.problem == ""
    (ended,) = (trial for trial in settled.table.trials if trial.trial_id == "adam-confirm-00")
    assert ended.state is TrialState.COMPLETED
    assert ended.summary["test_accuracy"] == pytest.approx(0.1027, abs=1e-4)
    assert [row.arm for row in build_leaderboard(settled.table)] == ["adam", "sgd"]
    folder = recorded.folder(SWEEP_ID)
    assert "adam-confirm-00" in folder.report.read_text()
    assert len(folder.trials.read_text().splitlines()) == 1 + 7


def test_its_journal_tells_a_driver_what_runs(recorded: Home) -> None:
    folder = recorded.folder(SWEEP_ID)
    recorder = Recorder(recorded.tracking_uri, open_journal(folder, recorded.tracking_uri))
    try:
        sweep = build_sweep(load_spec(folder.resolved_file), folder, recorder, listeners=[], clock_ms=recorder.now_ms)
        replay(sweep, recorder.past)
    finally:
        assert recorder.close(60.0)
    running = {entry.trial_id: entry.epoch for entry in sweep.ledger.running()}
    assert running == {"sgd-confirm-00": 3, "sgd-confirm-01": 0}
    scores = {entry.trial_id: entry.summary["best_val_accuracy"] for entry in sweep.ledger.select(stage="search")}
    assert scores == {trial_id: pytest.approx(best) for trial_id, (_, _, best) in SEARCHED.items()}


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_it_is_gone_on_with_to_its_end(recorded: Home) -> None:
    command = [sys.executable, "-m", "sweeps.cli", "resume", SWEEP_ID]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    check_sweep(recorded, SWEEP_ID)
