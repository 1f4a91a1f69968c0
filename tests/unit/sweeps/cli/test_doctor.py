"""`sweeps doctor`, on the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

from forked import run_forked


def doctor(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", "doctor", "--no-ray", *arguments]
    environment = {**os.environ, "SWEEPS_HOME": str(home)}
    return run_forked(command, cwd=home, env=environment)


def test_a_machine_that_can_run_sweeps(tmp_path: Path) -> None:
    done = doctor(tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "sweeps can run here"
    assert done.stdout.startswith("ok   Python    3.11")


def test_one_that_cannot_says_so_by_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database, " * 100)
    done = doctor(tmp_path, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["ready"]) == (1, False)
    assert {finding["subject"] for finding in said["findings"] if finding["health"] == "bad"} == {"MLflow"}
