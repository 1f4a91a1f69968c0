"""What is said of a sweep that runs here, without MLflow and without Ray."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.driver.driver import resume_sweep
from sweeps.home import Home
from sweeps.remote.control import Ways, way_to_resume
from tracking.recording.events import PhaseNoted
from tracking.recording.journal import Journal, JournalBusy

SWEEP = "s-20260101-000000-abcd"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """MLflow is away."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return Home(tmp_path)


@pytest.fixture
def running(home: Home) -> Iterator[Journal]:
    """The journal of a sweep that runs here."""
    folder = home.folder(SWEEP)
    journal = Journal(folder.journal)
    folder.resolved_file.write_text("")
    journal.append(journal.build_event(1, PhaseNoted("")))
    yield journal
    journal.close()


@pytest.mark.usefixtures("running")
def test_a_sweep_that_runs_is_not_resumed_and_nothing_heavy_is_imported_to_say_so(home: Home) -> None:
    program = (
        "import sys; from sweeps.cli import app\n"
        "app.leave = sys.exit\n"
        f"sys.argv = ['sweeps', 'resume', {SWEEP!r}]\n"
        "try: app.main()\n"
        "except SystemExit as end: assert end.code == 2, end.code\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"SWEEPS_HOME": str(home.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    said = f"{SWEEP}: it is running; follow it with `sweeps logs --follow {SWEEP}`, or stop it first\n"
    assert done.stderr == said


def test_a_sweep_that_is_paused_goes_on(home: Home, running: Journal) -> None:
    running.append(running.build_event(2, PhaseNoted("paused")))
    assert way_to_resume(home, SWEEP) is Ways.UNPAUSE


@pytest.mark.usefixtures("running")
def test_a_driver_looks_at_the_lock_before_anything_else(home: Home) -> None:
    with pytest.raises(JournalBusy, match="another process is running this sweep"):
        resume_sweep(SWEEP, home)
