"""Trials that hang, by a clock of the test's own."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from sweeps.driver import callback as callbacks
from sweeps.driver.callback import SweepCallback
from sweeps.trials.ledger import TrialEntry


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, trial_hours: float | None) -> None:
        self.now = 1000.0
        self.killed: list[str] = []
        monkeypatch.setattr(callbacks.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(callbacks.ray, "kill", self.killed.append)
        self.entry = TrialEntry("sgd-000", "sgd", "search", 0, 0, {})
        budget = SimpleNamespace(trial_hours=trial_hours)
        sweep: Any = SimpleNamespace(spec=SimpleNamespace(early_terminate=None, budget=budget))
        self.callback = SweepCallback(sweep)
        self.trial: Any = SimpleNamespace(
            status=Trial.RUNNING, max_failures=3, temporary_state=SimpleNamespace(ray_actor="its process")
        )
        monkeypatch.setattr(self.callback, "_entry", lambda _: self.entry)
        self.callback._heard["sgd-000"] = self.trial, self.now

    def pass_seconds(self, seconds: float, step: float) -> None:
        """Lets the driver look every so many seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.callback._end_hung()


def test_a_trial_that_is_not_heard_of_for_all_its_hours_is_killed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, trial_hours=1.0)
    clock.pass_seconds(3590, 10)
    assert clock.killed == []
    clock.pass_seconds(3600, 10)
    assert clock.killed == ["its process"]
    assert clock.callback._hung == {"sgd-000"}
    assert clock.trial.max_failures == 0


def test_what_says_something_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, trial_hours=1.0)
    for _ in range(5):
        clock.pass_seconds(3000, 10)
        clock.callback._heard["sgd-000"] = clock.trial, clock.now
    assert clock.killed == []


def test_a_driver_that_stood_still_blames_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, trial_hours=1.0)
    clock.pass_seconds(10, 10)
    clock.pass_seconds(7200, 7200)  # stopped, and continued
    clock.pass_seconds(1000, 10)
    assert clock.killed == []


@pytest.mark.parametrize(("status", "trial_hours"), [(Trial.PENDING, 1.0), (Trial.RUNNING, None)])
def test_what_waits_and_what_has_no_limit_is_left_alone(
    status: str, trial_hours: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, trial_hours)
    clock.trial.status = status
    clock.pass_seconds(9000, 10)
    assert clock.killed == []
