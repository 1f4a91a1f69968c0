"""Trials that hang, without `budget.trial_hours`: their process is killed, and what is only slow is left alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from checker import check_sweep

from sweeps.driver import hanging
from sweeps.driver.driver import run_sweep
from sweeps.driver.hanging import HangLimits
from sweeps.errors import ExitCode
from sweeps.home import Home
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.spec import SweepSpec
from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.store.queries import load_sweep

pytestmark = [pytest.mark.cluster, pytest.mark.thorough_fault]

# As those of users, in seconds that a test can wait; a first epoch has the import of torch in it.
LIMITS = HangLimits(
    start_seconds=60, first_epoch_seconds=40, epoch_seconds=12, epoch_factor=0, look_seconds=1, missed_seconds=5
)
OWN = """
import time

import torch


class Own(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.num_steps = 0

    def step(self, closure=None):
        self.num_steps += 1
        self.act()
        return super().step(closure)

    def act(self):
        pass


class Starts(Own):
    def act(self):
        time.sleep(100_000)


class Spins(Own):
    def act(self):
        while self.num_steps > 12:
            pass


class Saved(Own):
    def state_dict(self):
        time.sleep(100_000)


class Slow(Own):
    def act(self):
        time.sleep(2)
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's module in the working directory, and the limits of the test."""
    (tmp_path / "own_hanging.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(hanging, "LIMITS", LIMITS)


@pytest.mark.timeout(600)
def test_what_hangs_fails_with_a_log_and_what_is_slow_does_not(
    home: Home, build_spec: Callable[..., SweepSpec]
) -> None:
    arms = ", ".join(f"'own_hanging:{name}': {{lr: 0.05}}" for name in ("Starts", "Spins", "Saved", "Slow"))
    spec = build_spec(
        "method=grid",
        "budget={max_consecutive_failures: 100}",
        "early_terminate=null",
        f"parameters.optimizer={{choices: {{{arms}}}}}",
        "parameters.batch_size=32",
        "parameters.initializer=he_normal",
        "parameters.epochs=2",
    )
    outcome = run_sweep(spec, home)
    assert outcome.exit_code is ExitCode.SOME_TRIALS_FAILED
    table = load_sweep(outcome.sweep_id, home.tracking_uri)
    trials = {(trial.arm.removeprefix("own_hanging:"), trial.stage): trial for trial in table.trials}
    hung = {
        ("Starts", STAGE_SEARCH): "hung: no epoch ended within 40 s of its last sign of life",
        ("Spins", STAGE_SEARCH): "hung: no epoch ended within 12 s of its last sign of life",
        ("Saved", STAGE_CONFIRM): "hung: no epoch ended within 12 s of its last sign of life",
    }
    for key, reason in hung.items():
        trial = trials.pop(key)
        assert (trial.state, trial.stop_reason) == (TrialState.FAILED, reason)
        assert reason in outcome.folder.trial_log(trial.trial_id).read_text()
    assert {key: trial.state for key, trial in trials.items()} == {
        ("Saved", STAGE_SEARCH): TrialState.COMPLETED,
        ("Slow", STAGE_SEARCH): TrialState.COMPLETED,
        ("Slow", STAGE_CONFIRM): TrialState.COMPLETED,
    }
    slowest = min(seconds for _, seconds in trials["Slow", STAGE_SEARCH].history["train_seconds"])
    assert slowest > LIMITS.epoch_seconds, "an epoch that is longer than the limit"
    check_sweep(home, outcome.sweep_id)


def test_a_driver_that_stood_still_ends_nobody(
    home: Home, build_spec: Callable[..., SweepSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hanging, "LIMITS", replace(LIMITS, epoch_seconds=10))
    stopped: list[str] = []
    helpers: list[subprocess.Popen[bytes]] = []

    def stop_once(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        if event is TrialEvent.EPOCH and entry is not None and entry.epoch == 1 and not stopped:
            stopped.append(entry.trial_id)
            me = os.getpid()
            helpers.append(subprocess.Popen(["sh", "-c", f"kill -STOP {me}; sleep 20; kill -CONT {me}"]))

    spec = build_spec("early_terminate=null", "budget.trials_per_arm=1", "confirm.top=0")
    outcome = run_sweep(spec, home, listeners=[stop_once])
    assert stopped
    assert [helper.wait() for helper in helpers] == [0]
    assert outcome.exit_code is ExitCode.DONE
    table = load_sweep(outcome.sweep_id, home.tracking_uri)
    assert {trial.state for trial in table.trials} == {TrialState.COMPLETED}
    check_sweep(home, outcome.sweep_id)
