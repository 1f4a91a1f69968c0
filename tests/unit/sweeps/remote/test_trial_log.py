"""`sweeps logs ID TRIAL`: why one trial ended, and how to run it alone."""

import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from forked import run_forked
from recorded import *  # noqa: F403  # the fixtures
from recorded import build_small_table, record_in
from stores import *  # noqa: F403  # the fixtures

from sweeps.home import Home
from tracking.names import TrialState
from trainer.data.load import load_dataset

ID = "broken-20261124-031500-0000"


def logs(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", "logs", *arguments]
    return run_forked(command, cwd=os.environ["SWEEPS_HOME"])


@pytest.fixture
def broken(recorded: Home) -> Home:
    """A sweep whose first trial failed."""
    first, *others = build_small_table().trials
    failed = replace(first, state=TrialState.FAILED, stop_reason="ValueError: no such thing", history={})
    manifest = {"data": {"name": "synthetic", "digest": load_dataset("synthetic", None).digest}}
    record_in(recorded, build_small_table(sweep_id=ID, trials=(failed, *others), manifest=manifest))
    return recorded


def test_a_failed_trial_has_settings_last_lines_and_the_command_that_runs_it_alone(broken: Home) -> None:
    log = broken.folder(ID).trial_log("sgd-000")
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    done = logs(ID, "sgd-000")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"sgd-000 of {ID}: failed, 0 epochs recorded"
    assert lines[1] == "why it ended: ValueError: no such thing"
    assert any(line.startswith("  lr: ") for line in lines)
    assert f"the last 30 of 100 lines of {log}:" in lines
    assert [line for line in lines if line.startswith("  line ")] == [f"  line {number}" for number in range(70, 100)]
    assert lines[-1] == f"run it alone: sweeps replay sgd-000 --sweep {ID}"
    again = run_forked([sys.executable, "-m", "sweeps.cli", *shlex.split(lines[-1])[4:]])
    assert again.stdout.startswith(f"sgd-000 of {ID}: seed"), again.stderr


def test_a_log_that_is_elsewhere_and_a_trial_that_did_not_fail(broken: Home) -> None:
    assert "its log is not here" in logs(ID, "sgd-000").stdout
    done = logs(ID, "adam-003")
    assert "completed" in done.stdout
    assert "best val_accuracy: 0." in done.stdout
    assert "log" not in done.stdout


def test_a_trial_that_there_is_not_and_one_to_follow(broken: Home) -> None:
    done = logs(ID, "sgd-999")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{ID} has no trial sgd-999; it has sgd-000, ")
    followed = logs(ID, "sgd-000", "--follow")
    assert followed.returncode == 2
    assert "leave --follow out" in followed.stderr
