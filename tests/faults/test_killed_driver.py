"""Processes of a sweep that are killed with SIGKILL: resumed, it ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from checker import check_sweep

from sweeps.errors import ExitCode
from sweeps.home import Home
from tracking.analysis.leaderboard import build_leaderboard
from tracking.names import STAGE_CONFIRM, STAGE_DEFAULT, STAGE_SEARCH, STAGE_SELECT, TrialState
from tracking.recording.events import EpochRecorded, Event, TrialEnded, TrialStarted
from tracking.store.queries import load_sweep
from tracking.table import SweepTable

pytestmark = [pytest.mark.cluster, pytest.mark.thorough_fault, pytest.mark.timeout(1500)]

KILL_AT = str(Path(__file__).with_name("kill_at.py"))
NUM_KILLS = 8
WAIT_SECONDS = 180.0
THREE_ARMS = """
name: killed
method: random
compare: optimizer
budget: {trials_per_arm: 6}
early_terminate: {type: asha, min_iter: 2, eta: 2}
confirm: {top: 1, seeds: 2}
parameters:
  dataset: synthetic
  train_size: 1280
  epochs: 8
  batch_size: {values: [32, 64]}
  width: 0.25
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-2, max: 1}}
      momentum: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1e-1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-2}}
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    file = tmp_path / "killed.yaml"
    file.write_text(THREE_ARMS)
    return file


def next_command(home: Home, sweep_file: Path) -> list[str]:
    """What a user does now: goes on with the sweep, or starts it where it has not got as far as its first event."""
    started = [each for each in home.sweep_ids() if home.folder(each).has_begun]
    return ["resume", started[0]] if started else ["run", str(sweep_file), "--no-measure"]


def start(arguments: list[str], *before: str) -> subprocess.Popen[str]:
    command = [sys.executable, *before, "-m", "sweeps.cli", *arguments]
    if before:
        command = [sys.executable, *before, "sweeps.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(home: Home, sweep_file: Path) -> tuple[str, dict[str, object]]:
    """Goes on to the end, undisturbed; the id, and what the command says for machines."""
    command = [sys.executable, "-m", "sweeps.cli", *next_command(home, sweep_file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    facts = json.loads(done.stdout)
    return str(facts["sweep_id"]), facts


def read_events(home: Home, sweep_id: str) -> list[Event]:
    events = []
    for line in home.folder(sweep_id).journal.read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # torn by the kill
            events.append(Event.from_line(line))
    return events


def assert_whole(home: Home, sweep_id: str, num_trials: int = 18, num_retrained: int = 6) -> SweepTable:
    """Nothing is lost, doubled or at odds, and the ranking is that of the journal."""
    check_sweep(home, sweep_id)
    table = load_sweep(sweep_id, home.tracking_uri)
    stages = [trial.stage for trial in table.trials]
    assert (stages.count(STAGE_SEARCH), stages.count(STAGE_CONFIRM)) == (num_trials, num_retrained)
    events = read_events(home, sweep_id)
    best: dict[str, float] = {}
    for event in events:
        match event.what:
            case EpochRecorded(trial_id=trial_id, metrics=metrics):
                best[trial_id] = max(metrics["val_accuracy"], best.get(trial_id, 0.0))
    trials = {event.what.record.trial_id: event.what.record for event in events if isinstance(event.what, TrialStarted)}
    for row in build_leaderboard(table):
        search = [name for name, each in trials.items() if (each.arm, each.stage) == (row.arm, STAGE_SEARCH)]
        completed = {trial.trial_id for trial in table.select(row.arm) if trial.state is TrialState.COMPLETED}
        assert row.best_trial_id is not None
        assert best[row.best_trial_id] == max(best[name] for name in search if name in completed)
    reads = [
        event.what.trial_id
        for event in events
        if isinstance(event.what, TrialEnded) and "test_accuracy" in event.what.metrics
    ]
    assert sorted(reads) == sorted(trial.trial_id for trial in table.trials if trial.stage == STAGE_CONFIRM)
    return table


def test_a_driver_killed_eight_times_at_random_moments(home: Home, sweep_file: Path) -> None:
    moments = random.Random(12)
    for _ in range(NUM_KILLS):
        with start(next_command(home, sweep_file)) as driver:
            try:
                output, _ = driver.communicate(timeout=moments.uniform(2.0, 24.0))
            except subprocess.TimeoutExpired:
                driver.kill()
                driver.communicate()
            else:
                pytest.fail(f"it ended before it was killed {NUM_KILLS} times:\n{output}")
    sweep_id, facts = finish(home, sweep_file)
    table = assert_whole(home, sweep_id)
    assert [row.arm for row in build_leaderboard(table)] == [row["arm"] for row in facts["leaderboard"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("when", "place", "number"),
    [
        ("before", "sweeps.driver.settling:write_report", 1),
        ("before", "sweeps.driver.settling:write_trials_csv", 1),
        ("after", "tracking.store.registry:register_winner", 1),
        ("before", "sweeps.driver.settling:remove_checkpoints", 1),
        ("before", "sweeps.home:SweepFolder.drop_checkpoints", 7),
        ("before", "tracking.recording.recorder:Recorder.end_sweep", 1),
        ("after", "tracking.recording.recorder:Recorder.end_sweep", 1),
        ("before", "tracking.recording.delivery:Delivery.deliver", 4),
        ("amid", "tracking.recording.journal:Journal.append", 9),
    ],
)
def test_a_driver_killed_at_a_certain_call(when: str, place: str, number: int, home: Home, sweep_file: Path) -> None:
    short = ["--set", "budget.trials_per_arm=2", "--set", "confirm.seeds=1", "--set", "parameters.epochs=2"]
    short += ["--set", "early_terminate.min_iter=1"]
    with start([*next_command(home, sweep_file), *short], KILL_AT, when, place, str(number)) as driver:
        output, _ = driver.communicate(timeout=WAIT_SECONDS)
    assert driver.returncode == -signal.SIGKILL, output
    sweep_id, _ = finish(home, sweep_file)
    assert_whole(home, sweep_id, 6, 3)


CONFIRM_STEPS = [  # each in a driver of its own, one after another
    ("before", "sweeps.running.retraining:Retrainings.open", 1),  # the search is over, and nothing of it retrained
    ("after", "sweeps.running.retraining:Retrainings.open", 2),
    ("before", "tracking.recording.recorder:Recorder.end_trial", 1),  # those of the selection end
    ("after", "tracking.recording.recorder:Recorder.end_trial", 2),
    ("after", "tracking.recording.recorder:Recorder.end_trial", 3),
    ("before", "tracking.recording.recorder:Recorder.end_trial", 2),  # those that read the test images end
    ("after", "tracking.recording.recorder:Recorder.start_trial", 1),
    ("after", "tracking.recording.recorder:Recorder.end_trial", 2),
    ("before", "sweeps.driver.settling:write_report", 1),
]


def test_a_driver_killed_in_each_step_of_the_confirm_stage(home: Home, sweep_file: Path) -> None:
    """Selection, retrainings and untuned defaults: each is trained once, and reads the test images once."""
    short = ["--set", "budget.trials_per_arm=2", "--set", "parameters.epochs=2", "--set", "early_terminate=null"]
    short += ["--set", "confirm={top: 1, seeds: 2, select: {top: 2, seeds: 1}, defaults: true}"]
    for when, place, number in CONFIRM_STEPS:
        command = next_command(home, sweep_file)
        with start(
            command if command[0] == "resume" else [*command, *short], KILL_AT, when, place, str(number)
        ) as driver:
            output, _ = driver.communicate(timeout=WAIT_SECONDS)
        assert driver.returncode == -signal.SIGKILL, (place, number, output)
    sweep_id, _ = finish(home, sweep_file)
    check_sweep(home, sweep_id)
    table = load_sweep(sweep_id, home.tracking_uri)
    assert Counter(trial.stage for trial in table.trials) == {
        STAGE_SEARCH: 6,
        STAGE_SELECT: 6,
        STAGE_CONFIRM: 6,
        STAGE_DEFAULT: 6,
    }


def find_process(parent: int, title: str) -> psutil.Process | None:
    """A process that descends from the driver, by its command line."""
    for child in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if title in " ".join(child.cmdline()):
                return child
    return None


def kill_when_training(driver: subprocess.Popen[str], home: Home, title: str) -> None:
    """Waits for the journal to hold an epoch, then kills a process of that title."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and driver.poll() is None:
        journals = list(home.path.glob("*/journal.jsonl"))
        process = find_process(driver.pid, title)
        if journals and b'"epoch"' in journals[0].read_bytes() and process is not None:
            os.kill(process.pid, signal.SIGKILL)
            return
        time.sleep(0.2)
    pytest.fail(f"no {title} to kill")


@pytest.mark.parametrize("title", ["Trainable", "raylet/raylet"])
def test_a_process_of_ray_is_killed(title: str, home: Home, sweep_file: Path) -> None:
    short = ["--set", "budget.trials_per_arm=2", "--set", "confirm.seeds=1"]
    with start([*next_command(home, sweep_file), *short]) as driver:
        kill_when_training(driver, home, title)
        output, _ = driver.communicate(timeout=WAIT_SECONDS)
    assert "Traceback" not in output
    if title == "Trainable" or driver.returncode == ExitCode.DONE:  # trials may outlive their raylet to the end
        assert driver.returncode == ExitCode.DONE, output
        (sweep_id,) = home.sweep_ids()
    else:
        sweep_id, _ = finish(home, sweep_file)
    assert_whole(home, sweep_id, 6, 3)
