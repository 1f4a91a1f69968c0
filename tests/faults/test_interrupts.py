"""A sweep that is interrupted, at any moment, says so in a sentence, with the right state, and can be resumed."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import mlflow
import pytest
from checker import check_sweep
from small_sweep import SMALL, draw_images

from sweeps.errors import ExitCode
from sweeps.home import Home
from sweeps.running.live import ENDING
from tracking.store.queries import load_sweep

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

KILL_AT = str(Path(__file__).with_name("kill_at.py"))
WAIT_SECONDS = 400.0
COMMAND = [sys.executable, "-m", "sweeps.cli"]


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    draw_images()
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.replace("trials_per_arm: 3", "trials_per_arm: 2"))
    return ["run", str(file), "--no-measure"]


def assert_interrupted(home: Home, code: int, output: str) -> str:
    """It is closed, says how to go on, and says nothing that only a programmer would want to read; its id."""
    (sweep_id,) = home.sweep_ids()
    assert code == ExitCode.INTERRUPTED, output
    assert output.splitlines()[-1] == f"interrupted; go on with: sweeps resume {sweep_id}"
    assert "Traceback" not in output
    client = mlflow.MlflowClient(home.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    assert "RUNNING" not in [run.info.status for run in runs]
    assert [run.data.tags["sweep.state"] for run in runs if "sweep.state" in run.data.tags] == ["interrupted"]
    return sweep_id


def assert_resumed(home: Home, sweep_id: str) -> None:
    resumed = subprocess.run([*COMMAND, "resume", "--json"], capture_output=True, text=True, check=False)
    assert resumed.returncode == ExitCode.DONE, resumed.stdout + resumed.stderr
    check_sweep(home, sweep_id)
    assert load_sweep(sweep_id, home.tracking_uri).state == "completed"


def run_to_a_call(number: str, when: str, place: str, count: int, arguments: list[str]) -> tuple[int, str]:
    """Runs a command that gets a signal at a certain call; its exit code, and what it printed."""
    done = subprocess.run(
        [sys.executable, KILL_AT, when, place, str(count), "sweeps.cli", *arguments],
        env={**os.environ, "SIGNAL": number},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


thorough = pytest.mark.thorough_fault


@pytest.mark.parametrize(
    ("number", "when", "place", "count"),
    [
        pytest.param("SIGINT", "before", "sweeps.driver.settling:write_report", 1, marks=thorough),
        pytest.param("SIGTERM", "before", "sweeps.driver.tuning:run_tune", 1, marks=thorough),
        pytest.param("SIGHUP", "after", "tracking.recording.recorder:Recorder.record_epoch", 5, marks=thorough),
        pytest.param("SIGTERM", "before", "tracking.recording.recorder:Recorder.flush", 1, marks=thorough),
        pytest.param("SIGINT", "before", "tracking.store.registry:register_winner", 1, marks=thorough),
        pytest.param("SIGINT", "before", "sweeps.driver.driver:finish", 1, marks=thorough),
    ],
)
def test_an_interrupt_once_the_sweep_has_begun(
    number: str, when: str, place: str, count: int, home: Home, arguments: list[str]
) -> None:
    code, output = run_to_a_call(number, when, place, count, arguments)
    assert_resumed(home, assert_interrupted(home, code, output))


@pytest.mark.parametrize(
    ("number", "when", "place"),
    [
        ("SIGTERM", "after", "ray:init"),
        pytest.param("SIGHUP", "before", "ray:init", marks=thorough),
        pytest.param("SIGINT", "before", "sweeps.driver.preflight:load_dataset", marks=thorough),
        pytest.param("SIGINT", "after", "sweeps.driver.driver:plan_prepared", marks=thorough),
        pytest.param("SIGINT", "before", "tracking.recording.recorder:Recorder.start_sweep", marks=thorough),
    ],
)
def test_an_interrupt_before_anything_ran_leaves_nothing_behind(
    number: str, when: str, place: str, home: Home, arguments: list[str]
) -> None:
    code, output = run_to_a_call(number, when, place, 1, arguments)
    assert code == ExitCode.INTERRUPTED, output
    assert output.splitlines()[-1] == "interrupted; nothing had been trained, and nothing is left behind"
    assert not list(home.path.glob("small-*"))


@thorough
def test_an_interrupt_of_retrainings_that_are_added(home: Home, arguments: list[str]) -> None:
    """Before they have begun, as they train, and again as their report is written: nothing is lost or trained twice."""
    assert subprocess.run([*COMMAND, *arguments], check=False).returncode == ExitCode.DONE
    (sweep_id,) = home.sweep_ids()
    command = ["confirm", sweep_id, "--seeds", "3"]
    code, output = run_to_a_call("SIGINT", "before", "ray:init", 1, command)
    assert code == ExitCode.INTERRUPTED, output
    assert output.splitlines()[-1] == f"interrupted; go on with: sweeps {' '.join(command)}"
    assert load_sweep(sweep_id, home.tracking_uri).state == "completed"
    for place in ("tracking.recording.recorder:Recorder.record_epoch", "sweeps.driver.settling:write_report"):
        code, output = run_to_a_call("SIGINT", "before", place, 1, command)
        assert_interrupted(home, code, output)
        command = ["resume"]
    assert_resumed(home, sweep_id)
    table = load_sweep(sweep_id, home.tracking_uri)
    assert [len(table.confirmed(arm)) for arm in table.arms] == [3, 3]


@thorough
@pytest.mark.parametrize("place", ["ray:init", "sweeps.driver.measuring:measure_costs"])
def test_an_interrupt_of_a_plan(place: str, home: Home, arguments: list[str]) -> None:
    code, output = run_to_a_call("SIGINT", "before", place, 1, ["plan", arguments[1]])
    assert (code, output) == (ExitCode.INTERRUPTED, "interrupted; nothing was changed\n")
    assert not list(home.path.glob("small-*"))


@thorough
def test_an_interrupt_after_the_sweep_has_ended_changes_nothing(home: Home, arguments: list[str]) -> None:
    code, output = run_to_a_call("SIGINT", "before", "ray:shutdown", 1, arguments)
    assert code == ExitCode.DONE, output
    (sweep_id,) = home.sweep_ids()
    check_sweep(home, sweep_id)


@thorough
def test_a_second_interrupt_ends_at_once(home: Home, arguments: list[str]) -> None:
    command = [*COMMAND, *arguments, "--set", "parameters.epochs=200", "--set", "early_terminate=null"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(WAIT_SECONDS, process.kill)
        timer.start()
        output = ""
        for line in process.stdout:
            output += line
            if "(1 ended)" in line:
                process.send_signal(signal.SIGINT)
            if ENDING in line:
                process.send_signal(signal.SIGTERM)
                break
        asked_at = time.monotonic()
        output += process.stdout.read()
        code = process.wait()
        timer.cancel()
    assert time.monotonic() - asked_at < 20.0
    assert_interrupted(home, code, output)


@thorough
def test_a_terminal_that_is_closed(home: Home, arguments: list[str]) -> None:
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--set", "parameters.epochs=60"],
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(side)
    output = b""
    while b"(1 ended)" not in output:
        output += os.read(terminal, 65536)
    os.close(terminal)
    assert process.wait(WAIT_SECONDS) == ExitCode.INTERRUPTED
    (sweep_id,) = home.sweep_ids()
    assert load_sweep(sweep_id, home.tracking_uri).state == "interrupted"
    assert_resumed(home, sweep_id)
