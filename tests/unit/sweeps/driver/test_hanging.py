"""Trials that hang, by a clock and signs of the test's own."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from sweeps.driver import hanging
from sweeps.driver.hanging import LIMITS, HangCheck
from trainer.trainable import TrialRequest


class Driver:
    """A driver that looks every so often, one trial, and the signs that the trial gives.

    Attributes:
        sign: The latest of the trial; None before the first, and an error where none can be read.
        killed: The processes that were killed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, trial_hours: float | None, longest_epoch: float) -> None:
        self.now, self.sign, self.killed, self.forgotten = 1000.0, None, [], []  # type: ignore[var-annotated]
        monkeypatch.setattr(hanging.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(hanging.ray, "kill", self.killed.append)
        monkeypatch.setattr(hanging, "read_sign", self.read)
        monkeypatch.setattr(hanging, "forget_signs", self.forgotten.append)
        sweep: Any = SimpleNamespace(
            spec=SimpleNamespace(budget=SimpleNamespace(trial_hours=trial_hours)),
            ledger=SimpleNamespace(longest_epoch=longest_epoch),
            full_disk="",
        )
        self.sweep, self.check = sweep, HangCheck(sweep)
        self.trial: Any = SimpleNamespace(
            trial_id="a1",
            config=TrialRequest("sgd-000", "sgd", "search", 0, False, {}).to_ray(),
            status=Trial.RUNNING,
            max_failures=3,
            temporary_state=SimpleNamespace(ray_actor="its process"),
        )
        self.check.watch(self.trial)

    def read(self, ray_id: str) -> bytes | None:
        assert ray_id == "a1"
        if isinstance(self.sign, Exception):
            raise self.sign
        return self.sign

    def pass_seconds(self, seconds: float, step: float = 10) -> bool:
        """Lets the driver look every `step` seconds; whether the trial has been ended."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.check.look()
        return bool(self.killed)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda trial_hours=None, longest_epoch=0.0: Driver(monkeypatch, trial_hours, longest_epoch)


def test_what_hangs_is_killed_once_and_not_tried_again(build: Any) -> None:
    driver = build()
    assert driver.pass_seconds(LIMITS.start_seconds + 10)
    driver.pass_seconds(10_000)
    assert driver.killed == ["its process"]
    assert driver.trial.max_failures == 0
    assert driver.forgotten == ["a1"]


def test_a_start_has_its_own_limit(build: Any) -> None:
    driver = build()
    assert not driver.pass_seconds(LIMITS.start_seconds)
    assert driver.pass_seconds(10)
    assert driver.check.find_reason(driver.trial) == (
        "hung: no training began within 3600 s of the start of its process"
    )


def test_a_first_epoch_counts_from_its_last_sign(build: Any) -> None:
    driver = build()
    driver.pass_seconds(LIMITS.start_seconds - 100)
    driver.sign = b"7-1"
    assert not driver.pass_seconds(LIMITS.first_epoch_seconds)
    assert driver.pass_seconds(20)
    assert driver.check.find_reason(driver.trial) == "hung: no epoch ended within 3600 s of its last sign of life"


@pytest.mark.parametrize(("longest_epoch", "limit"), [(0.0, 600), (29.0, 600), (31.0, 620), (500.0, 10_000)])
def test_later_epochs_have_many_times_the_longest_so_far(build: Any, longest_epoch: float, limit: int) -> None:
    driver = build(longest_epoch=longest_epoch)
    driver.check.hear(driver.trial)
    driver.check.look()
    assert not driver.pass_seconds(limit)
    assert driver.pass_seconds(10)
    assert driver.check.find_reason(driver.trial) == f"hung: no epoch ended within {limit} s of its last sign of life"


def test_an_epoch_of_whatever_length_is_no_hang_while_its_batches_go_by(build: Any) -> None:
    driver = build(longest_epoch=1.0)
    driver.check.hear(driver.trial)
    for number in range(100):
        driver.sign = b"7-%d" % number
        assert not driver.pass_seconds(590)
    assert driver.pass_seconds(30)


def test_within_all_its_hours_it_has_to_end_an_epoch_whatever_its_signs(build: Any) -> None:
    driver = build(trial_hours=0.5)
    for number in range(18):
        driver.sign = b"7-%d" % number
        assert not driver.pass_seconds(100)
    driver.sign = b"7-18"
    assert driver.pass_seconds(10)
    assert driver.check.find_reason(driver.trial) == "hung: no epoch ended within trial_hours, 0.5"


def test_a_driver_that_stood_still_blames_no_trial(build: Any) -> None:
    driver = build(trial_hours=1.0)
    driver.sign = b"7-1"
    driver.pass_seconds(10)
    driver.check.hear(driver.trial)
    assert not driver.pass_seconds(90_000, step=90_000)  # stopped, and continued
    assert not driver.pass_seconds(500)
    assert driver.pass_seconds(200)


def test_a_trial_that_cannot_be_heard_is_not_to_blame(build: Any) -> None:
    driver = build()
    driver.check.hear(driver.trial)
    driver.sign = ConnectionError("the head of the cluster is away")
    assert not driver.pass_seconds(90_000)


def test_what_waits_for_its_process_is_left_alone(build: Any) -> None:
    driver = build(trial_hours=1.0)
    driver.trial.status = Trial.PENDING
    assert not driver.pass_seconds(90_000)


def test_what_was_let_go_of_is_left_alone(build: Any) -> None:
    driver = build(trial_hours=1.0)
    driver.check.forget(driver.trial)
    assert not driver.pass_seconds(90_000)
    assert driver.forgotten == ["a1"]


def test_what_waits_for_room_on_a_disk_is_told_of_and_does_not_hang(build: Any) -> None:
    driver = build(trial_hours=0.1)
    driver.check.hear(driver.trial)
    for number in range(300):
        driver.sign = b"7-%d No space left on device: /there on node-2" % number
        assert not driver.pass_seconds(10)
    assert driver.sweep.full_disk == "sgd-000 waits to save its state: No space left on device: /there on node-2"
    driver.sign = b"7-300 "
    assert not driver.pass_seconds(20)
    assert driver.sweep.full_disk == ""
    assert driver.pass_seconds(360)
