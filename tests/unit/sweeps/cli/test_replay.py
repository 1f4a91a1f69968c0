"""Trials that are trained again, beside records of the same training; they were trained here and recorded really."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from forked import run_forked
from recorded import *  # noqa: F403  # the fixtures
from recorded import RESOLVED, build_small_table, record_in
from stores import *  # noqa: F403  # the fixtures

from sweeps.home import Home
from tracking.names import EPOCH_METRICS, STAGE_CONFIRM, TrialState
from tracking.table import Points, SweepTable, TrialRow, Value
from trainer.config import build_trial_config
from trainer.data.dataset import Dataset
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun

KILL_AT = str(Path(__file__).parents[3] / "faults" / "kill_at.py")
ID = "trained-20261124-031500-0000"
PARAMETERS: dict[str, Value] = {
    "dataset": "synthetic",
    "train_size": 320,
    "width": 0.25,
    "epochs": 3,
    "batch_size": 32,
    "optimizer": "adam",
    "lr": 1e-3,
    "seed": 7,
}
Record = Callable[[TrialRow], None]


@functools.cache
def draw_images() -> Dataset:
    return draw_synthetic()


def train(name: str, num_epochs: int, **changes: Value) -> TrialRow:
    """A trial as its sweep would have recorded it; one of all epochs is a retraining, and has read the test split."""
    parameters = {**PARAMETERS, **changes}
    run = TrainingRun(build_trial_config(parameters), draw_images(), device="cpu", num_threads=1)
    history: dict[str, list[tuple[int, float]]] = {}
    for epoch in range(1, num_epochs + 1):
        for metric, value in run.run_epoch().metrics().items():
            if metric in EPOCH_METRICS:
                history.setdefault(metric, []).append((epoch, value))
    over = run.stop_reason == "epochs"
    tested = dict(zip(("test_loss", "test_accuracy"), run.evaluate_test(), strict=True)) if over else {}
    points: dict[str, Points] = {metric: tuple(each) for metric, each in history.items()}
    state = TrialState.COMPLETED if over else TrialState.EARLY_STOPPED
    stage, seed = STAGE_CONFIRM if over else "search", parameters["seed"]
    assert isinstance(seed, int)
    return TrialRow(name, 0, "adam", stage, state, "", seed, parameters, points, tested)


@pytest.fixture(scope="module")
def whole() -> TrialRow:
    return train("adam-confirm-00", 3)


@pytest.fixture(scope="module")
def stopped() -> TrialRow:
    return train("adam-000", 2, lr=3e-3)


@pytest.fixture
def record(recorded: Home) -> Record:
    def record_one(trial: TrialRow, **changes: object) -> None:
        record_in(recorded, build(trial, **changes))

    return record_one


def build(trial: TrialRow, **changes: object) -> SweepTable:
    manifest = {"data": {"name": "synthetic", "digest": draw_images().digest}}
    fields = {"sweep_id": ID, "trials": (trial,), "sweep_file": RESOLVED, "manifest": manifest}
    return build_small_table(**{**fields, **changes})


def replay(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", "replay", *arguments, "--sweep", "trained"]
    return run_forked(command, cwd=os.environ["SWEEPS_HOME"])


def shift(trial: TrialRow, metric: str, epoch: int, by: float) -> TrialRow:
    """The trial with another record of one epoch."""
    points = tuple((at, value + by if at == epoch else value) for at, value in trial.history[metric])
    return replace(trial, history={**trial.history, metric: points})


def test_a_retraining_is_identical_to_the_bit_with_its_test_accuracy(record: Record, whole: TrialRow) -> None:
    record(whole)
    done = replay("adam-confirm-00")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "adam-confirm-00: identical to the bit, in 3 epochs"
    assert [line.split()[0] for line in lines[1:-1]] == ["epoch", "1", "2", "3", "test"]
    assert all(line.endswith("none") for line in lines[2:-1])
    assert f"{whole.summary['test_accuracy']:.2%}" in lines[-2]


def test_a_trial_that_was_stopped_is_trained_to_where_it_was_stopped(record: Record, stopped: TrialRow) -> None:
    record(stopped)
    done = replay("adam-000", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["sameness"], found["first_epoch"], found["reasons"]) == ("identical to the bit", None, [])
    for epoch in found["epochs"]:
        expected = {metric: dict(points)[epoch["epoch"]] for metric, points in stopped.history.items()}
        assert epoch["values"] == {metric: expected[metric] for metric in epoch["values"]}
        assert epoch["values"].keys() >= {"train_loss", "val_loss", "val_accuracy"}
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2]


def test_a_record_that_differs_by_rounding_is_equal_within_it(record: Record, stopped: TrialRow) -> None:
    record(shift(stopped, "train_loss", 2, 1e-7))
    done = replay("adam-000")
    assert done.returncode == 0
    assert "adam-000: equal within " in done.stdout
    assert "with the first difference in epoch 2" in done.stdout
    assert "e-08 in train_loss" in done.stdout


def test_a_record_that_differs_is_told_from_which_epoch_on_and_why_that_may_be(
    recorded: Home, stopped: TrialRow
) -> None:
    manifest = {"data": {"digest": draw_images().digest}, "packages": {"torch": "1.0"}, "processor": "an abacus"}
    record_in(recorded, build(shift(stopped, "val_accuracy", 2, 0.1), manifest=manifest))
    done = replay("adam-000")
    assert done.returncode == 5
    assert "adam-000: differs from epoch 2 on by more than 0.001" in done.stdout
    assert "Why that may be: the processor was an abacus, and is " in done.stdout
    assert "torch was 1.0, and is " in done.stdout


def test_an_interrupt_is_one_sentence(record: Record, stopped: TrialRow) -> None:
    record(stopped)
    place = ("before", "trainer.loop.training_run:TrainingRun.run_epoch", "2")
    command = [sys.executable, KILL_AT, *place, "sweeps.cli", "replay", "adam-000", "--sweep", "trained"]
    environment = {**os.environ, "SIGNAL": "SIGINT"}
    done = run_forked(command, env=environment)
    assert (done.returncode, done.stderr) == (130, "interrupted; nothing was changed\n")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["epoch", "1"]


def test_what_cannot_be_trained_again_is_said(recorded: Home, stopped: TrialRow) -> None:
    record_in(recorded, build(stopped, manifest={"data": {"digest": "of others"}}))
    assert says("adam-000") == f"adam-000 of {ID}: the images of synthetic here are not those that the sweep had"
    assert says("adam-7") == f"{ID} has no trial adam-7; it has adam-000"


def test_a_trial_of_a_population_is_refused(recorded: Home, stopped: TrialRow) -> None:
    file = RESOLVED.replace("type: asha", "type: pbt").replace("top: 1, seeds: 1", "top: 0")
    record_in(recorded, build(stopped, sweep_file=file))
    assert says("adam-000").startswith(f"adam-000 of {ID}: under pbt settings change and weights are taken over")


def test_a_trial_without_an_epoch_is_refused(recorded: Home, stopped: TrialRow) -> None:
    record_in(recorded, build(replace(stopped, history={}, state=TrialState.STOPPED)))
    assert says("adam-000") == f"adam-000 of {ID}: no epoch of it is recorded, so there is nothing to compare"


@pytest.mark.parametrize("num_epochs", [0, 1])
def test_a_trial_that_failed_is_trained_to_the_epoch_in_which_it_did(
    record: Record, stopped: TrialRow, num_epochs: int
) -> None:
    history = {metric: points[:num_epochs] for metric, points in stopped.history.items()} if num_epochs else {}
    record(replace(stopped, history=history, state=TrialState.FAILED))
    done = replay("adam-000")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"epoch {num_epochs + 1}, in which it failed then, was trained here without a failure"
    assert len(lines) == 3 + 2 * num_epochs


def says(trial: str) -> str:
    """The one error of a replay that cannot be."""
    done = replay(trial)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line
