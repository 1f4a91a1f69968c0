import math
from pathlib import Path

import pytest

from sweeps.running.budgets import find_halt, find_search_end, find_shortfall, is_plateau
from sweeps.spec import SweepSpec, load_spec
from sweeps.trials.ledger import Ledger, TrialEntry
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.ranking import Goal


def load(tmp_path: Path, budget: str, *, metric: str = "val_accuracy") -> SweepSpec:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"method: random\nmetric: {{name: {metric}}}\nbudget: {{trials: 40, {budget}}}\n"
        "compare: optimizer\nparameters: {lr: {min: 0.1, max: 0.2}, optimizer: {values: [sgd, adam]}}\n"
    )
    return load_spec(file)


def play(ledger: Ledger, arm: str, *scores: float, state: TrialState = TrialState.COMPLETED, stage: str = STAGE_SEARCH):  # type: ignore[no-untyped-def]
    """One trial that ends with the last of these scores."""
    trial = f"t-{len(ledger.entries)}"
    ledger.add(TrialEntry(trial, arm, stage, len(ledger.entries), 0, {}))
    for epoch, score in enumerate(scores, 1):
        ledger.record_epoch(trial, epoch, score, 1.0)
    ledger.end(trial, state, "")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(Goal.MAXIMIZE, ("sgd", "adam"))


def test_the_hours_end_the_search_of_every_arm(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(tmp_path, "hours: 1")
    assert find_search_end(spec, ledger, "sgd", time_is_up=True) == "budget: hours"
    assert find_search_end(spec, ledger, "sgd", time_is_up=False) == ""


def test_an_arm_has_its_own_epochs_and_retrainings_do_not_count(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(tmp_path, "epochs_per_arm: 5")
    play(ledger, "sgd", 0.1, 0.2, 0.3)
    play(ledger, "sgd", 0.1, stage=STAGE_CONFIRM)
    play(ledger, "sgd", 0.1)
    assert find_search_end(spec, ledger, "sgd", time_is_up=False) == ""
    play(ledger, "sgd", 0.1)
    assert find_search_end(spec, ledger, "sgd", time_is_up=False) == "budget: epochs_per_arm"
    assert find_search_end(spec, ledger, "adam", time_is_up=False) == ""


def test_a_target_reached_in_any_arm_ends_the_search_of_all(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(tmp_path, "target: 0.8")
    play(ledger, "sgd", 0.7)
    assert find_search_end(spec, ledger, "adam", time_is_up=False) == ""
    play(ledger, "sgd", 0.8, 0.5)
    assert find_search_end(spec, ledger, "adam", time_is_up=False) == "budget: target reached by t-1"


def test_a_loss_reaches_its_target_from_above(tmp_path: Path) -> None:
    spec, ledger = load(tmp_path, "target: 0.8", metric="val_loss"), Ledger(Goal.MINIMIZE, ("sgd", "adam"))
    play(ledger, "sgd", 0.9)
    assert find_search_end(spec, ledger, "sgd", time_is_up=False) == ""
    play(ledger, "sgd", 0.7)
    assert find_search_end(spec, ledger, "sgd", time_is_up=False) == "budget: target reached by t-1"


def test_a_plateau_is_one_of_all_arms(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(tmp_path, "plateau: 2")
    for arm in ("sgd", "adam"):
        play(ledger, arm, 0.5)
    play(ledger, "sgd", 0.4)
    play(ledger, "sgd", math.nan, state=TrialState.DIVERGED)
    assert not is_plateau(spec, ledger)
    play(ledger, "adam", 0.5)  # equal is not better
    play(ledger, "adam", 0.9, state=TrialState.STOPPED)  # cut off: it will go on
    assert not is_plateau(spec, ledger)
    play(ledger, "adam", 0.3, state=TrialState.EARLY_STOPPED)
    assert is_plateau(spec, ledger)
    play(ledger, "adam", 0.6)
    assert not is_plateau(spec, ledger)
    assert not is_plateau(load(tmp_path, "hours: 1"), ledger)


def test_failures_in_a_row_of_all_or_of_one_arm_end_the_sweep(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(tmp_path, "max_consecutive_failures: 2")
    play(ledger, "sgd", state=TrialState.FAILED)
    play(ledger, "adam", 0.5)
    assert find_halt(spec, ledger) == ""
    play(ledger, "sgd", state=TrialState.FAILED)
    assert find_halt(spec, ledger) == "budget: 2 trials of sgd failed in a row"
    play(ledger, "adam", state=TrialState.FAILED)
    assert find_halt(spec, ledger) == "budget: 2 trials failed in a row"
    ledger.reset_failures()
    assert find_halt(spec, ledger) == ""


def test_too_great_a_share_of_failures_ends_the_sweep_from_the_tenth_trial_on(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(tmp_path, "max_failures_fraction: 0.3, max_consecutive_failures: 99")
    for number in range(9):
        play(ledger, "sgd", 0.5, state=TrialState.FAILED if number < 4 else TrialState.COMPLETED)
    assert find_halt(spec, ledger) == ""
    play(ledger, "adam", 0.5)
    assert find_halt(spec, ledger) == "budget: 4 of 10 trials failed, more than max_failures_fraction 0.3"
    for _ in range(4):
        play(ledger, "adam", 0.5)
    assert find_halt(spec, ledger) == ""


@pytest.mark.parametrize(
    ("metric", "floor", "scores", "expected"),
    [
        ("val_accuracy", "min: 0.3", (0.1, 0.2), ""),
        (
            "val_accuracy",
            "min: 0.3",
            (0.1, 0.2, 0.25),
            "floor: best val_accuracy 0.25 after epoch 3",
        ),
        ("val_accuracy", "min: 0.3", (0.1, 0.3, 0.25), ""),
        (
            "val_accuracy",
            "min: 0.3",
            (0.1, 0.1, 0.1, 0.1),
            "floor: best val_accuracy 0.1 after epoch 4",
        ),
        ("val_accuracy", "min: 0.3", (math.nan, math.nan, math.nan), "floor: best val_accuracy nan"),
        ("val_loss", "max: 2.0", (2.5, 2.2, 2.1), "floor: best val_loss 2.1 after epoch 3, above 2"),
        ("val_loss", "max: 2.0", (2.5, 2.0, 2.1), ""),
    ],
)
def test_the_floor_has_to_be_reached_in_time(
    metric: str, floor: str, scores: tuple[float, ...], expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"method: grid\nmetric: {{name: {metric}}}\nfloor: {{after: 3, {floor}}}\n"
        "parameters: {lr: {values: [1, 2]}}\n"
    )
    spec = load_spec(file)
    ledger = Ledger(Goal(spec.metric.goal), ("all",))
    ledger.add(TrialEntry("t", "all", STAGE_SEARCH, 0, 0, {}))
    for epoch, score in enumerate(scores, 1):
        ledger.record_epoch("t", epoch, score, 1.0)
    found = find_shortfall(spec, len(scores), ledger.entries["t"].best_score)
    assert found.startswith(expected)
    assert bool(found) is bool(expected)
