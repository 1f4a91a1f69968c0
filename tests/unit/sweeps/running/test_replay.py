from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sweeps.home import SweepFolder
from sweeps.running.replay import describe_found, find_failed, replay
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec_text
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger, TrialPhase
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TRAIN_SECONDS, VALIDATION_SECONDS, TrialState
from tracking.ranking import Goal
from tracking.recording.events import EpochRecorded, Event, Happening, TrialEnded, TrialRecord, TrialStarted

SPEC = load_spec_text(
    "method: random\nbudget: {trials_per_arm: 3}\ncompare: optimizer\n"
    "parameters: {epochs: 3, lr: {min: 0.1, max: 0.2}, optimizer: {values: [sgd, adam]}}\n",
    "sweep.yaml",
)
FAILED = TrialState.FAILED


def start(trial_id: str, stage: str = STAGE_SEARCH) -> TrialStarted:
    arm, _, number = trial_id.partition("-")
    return TrialStarted(TrialRecord(trial_id, int(number[-1]), arm, stage, 0, {"optimizer": arm}))


def run_epoch(trial_id: str, epoch: int) -> EpochRecorded:
    metrics = {"val_accuracy": 0.1 * epoch, TRAIN_SECONDS: 1.0, VALIDATION_SECONDS: 1.0}
    return EpochRecorded(trial_id, epoch, metrics)


def number(*whats: Happening) -> list[Event]:
    return [Event(index, 1000 * index, what) for index, what in enumerate(whats, 1)]


def replay_all(tmp_path: Path, events: list[Event], again: frozenset[str] = frozenset()) -> Ledger:
    return replay_sweep(tmp_path, events, again).ledger


def replay_sweep(tmp_path: Path, events: list[Event], again: frozenset[str] = frozenset()) -> RunningSweep:
    arms = ("sgd", "adam")
    sweep = RunningSweep(
        sweep_id="s-1",
        spec=SPEC,
        ledger=Ledger(Goal.MAXIMIZE, arms),
        rules=ArmRules(arms, SPEC.early_terminate, 3),
        recorder=cast("Any", SimpleNamespace(past=tuple(events))),
        folder=SweepFolder(tmp_path),
        num_trials={},
    )
    replay(sweep, events, again)
    return sweep


def test_failed_trials_may_run_again_until_their_arms_best_are_chosen() -> None:
    events = number(
        start("sgd-0"), TrialEnded("sgd-0", FAILED, "x"),
        start("sgd-1"), TrialEnded("sgd-1", TrialState.COMPLETED, "epochs"),
        start("adam-0"), TrialEnded("adam-0", FAILED, "x"),
        start("adam-confirm-0", STAGE_CONFIRM), TrialEnded("adam-confirm-0", FAILED, "x"),
        start("sgd-2"), TrialEnded("sgd-2", FAILED, "x"), start("sgd-2"),
    )  # fmt: skip
    assert find_failed(events) == {"sgd-0", "adam-confirm-0"}


@pytest.mark.parametrize("again", [frozenset(), frozenset({"sgd-0"})])
def test_a_trial_that_failed_and_runs_again_has_not_ended(tmp_path: Path, again: frozenset[str]) -> None:
    events = number(start("sgd-0"), run_epoch("sgd-0", 1), TrialEnded("sgd-0", FAILED, "x"))
    entry = replay_all(tmp_path, events, again).entries["sgd-0"]
    assert (entry.phase, entry.epoch) == (TrialPhase.RUNNING if again else TrialPhase.ENDED, 1)


def test_the_second_life_of_a_failed_trial_is_its_own(tmp_path: Path) -> None:
    first = (start("sgd-0"), run_epoch("sgd-0", 1), TrialEnded("sgd-0", FAILED, "x"))
    second = (start("sgd-0"), run_epoch("sgd-0", 2), TrialEnded("sgd-0", TrialState.COMPLETED, "epochs"))
    entry = replay_all(tmp_path, number(*first, *second)).entries["sgd-0"]
    assert (entry.state, entry.epoch, entry.error) == (TrialState.COMPLETED, 2, "")
    failed_again = number(*first, *second[:2], TrialEnded("sgd-0", FAILED, "y"))
    entry = replay_all(tmp_path, failed_again).entries["sgd-0"]
    assert (entry.state, entry.stop_reason) == (FAILED, "y")


def test_what_was_found_is_told_in_one_sentence(tmp_path: Path) -> None:
    events = number(
        start("sgd-0"), run_epoch("sgd-0", 1), TrialEnded("sgd-0", TrialState.COMPLETED, "epochs"),
        start("sgd-1"), run_epoch("sgd-1", 1),
        start("adam-0"), run_epoch("adam-0", 1),
        start("adam-1"), TrialEnded("adam-1", FAILED, "x"),
    )  # fmt: skip
    checkpoint = tmp_path / "ray" / "trials-0000" / "sgd-1" / "checkpoint_000000"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.pt").write_text("")
    again = frozenset({"adam-1"})
    assert describe_found(replay_sweep(tmp_path, events, again), again, 2) == (
        "found: 1 trial has ended, 1 goes on from its last checkpoint, 1 begins anew, 1 failed and runs again; "
        "2 of 9 events are sent to MLflow now"
    )
    none = describe_found(replay_sweep(tmp_path, number(start("sgd-0"))), frozenset(), 0)
    assert none == "found: 0 trials have ended, 1 begins anew; MLflow has all events"
