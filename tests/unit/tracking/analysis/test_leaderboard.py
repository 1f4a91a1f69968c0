from __future__ import annotations

from dataclasses import replace

import pytest

from tracking.analysis.findings import (
    build_cautions,
    build_failures,
    build_headline,
    build_verdict,
    validation_test_gap,
)
from tracking.analysis.labels import format_duration, format_number
from tracking.analysis.leaderboard import build_leaderboard, find_winner, format_cells, format_markdown, ranked_by_test
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.table import SweepTable, TrialRow


def build_trial(
    trial_id: str,
    arm: str,
    accuracy: float | None = None,
    *,
    state: TrialState | None = TrialState.COMPLETED,
    reason: str = "",
) -> TrialRow:
    history = (
        {} if accuracy is None else {"val_accuracy": ((1, 0.2), (2, accuracy)), "train_seconds": ((1, 30.0), (2, 40.0))}
    )
    summary = {} if accuracy is None else {"best_val_accuracy": accuracy}
    return TrialRow(trial_id, 0, arm, STAGE_SEARCH, state, reason, 0, {"lr": 0.001, "flip": True}, history, summary)


def build_confirmed(
    arm: str, test_accuracy: float, val_accuracy: float | None = None, seed: int = 1, lr: float = 0.001
) -> TrialRow:
    summary = {"test_accuracy": test_accuracy, "best_val_accuracy": val_accuracy or test_accuracy}
    parameters = {"lr": lr, "flip": True, "seed": seed}
    return TrialRow(f"{arm}-c{seed}", seed, arm, STAGE_CONFIRM, TrialState.COMPLETED, "", seed, parameters, {}, summary)


def build_table(*trials: TrialRow, **changes: object) -> SweepTable:
    arms = tuple(dict.fromkeys(trial.arm for trial in trials))
    table = SweepTable(
        "id", "n", "p", "completed", "val_accuracy", "maximize", "optimizer", arms, ("lr", "optimizer"), {}, "", trials
    )
    return replace(table, **changes)  # type: ignore[arg-type]


SGD, ADAM = build_trial("sgd-0", "sgd", 0.6), build_trial("adam-0", "adam", 0.7)


def test_order_is_by_test_accuracy_when_every_arm_was_retrained() -> None:
    rows = build_leaderboard(build_table(SGD, ADAM, build_confirmed("sgd", 0.75), build_confirmed("adam", 0.65)))

    assert [(row.rank, row.arm, row.test_accuracy) for row in rows] == [(1, "sgd", 0.75), (2, "adam", 0.65)]
    assert ranked_by_test(rows)


def test_order_is_by_validation_when_one_arm_was_not_retrained() -> None:
    rows = build_leaderboard(build_table(SGD, ADAM, build_confirmed("sgd", 0.99)))

    assert [row.arm for row in rows] == ["adam", "sgd"]
    assert not ranked_by_test(rows)
    assert "not a verdict" in build_verdict(build_table(SGD, ADAM, build_confirmed("sgd", 0.99)), rows)


def test_an_arm_without_success_comes_last_and_does_not_change_the_basis() -> None:
    failed = build_trial("rms-0", "rmsprop", state=TrialState.FAILED)
    table = build_table(failed, SGD, ADAM, build_confirmed("sgd", 0.6), build_confirmed("adam", 0.7))

    rows = build_leaderboard(table)

    assert [row.arm for row in rows] == ["adam", "sgd", "rmsprop"]
    assert ranked_by_test(rows)
    assert rows[-1].best_value is None
    assert rows[-1].num_by_state == {"failed": 1}


def test_order_follows_a_goal_that_is_minimized() -> None:
    table = build_table(
        *(replace(trial, history={"val_loss": ((1, loss),)}) for trial, loss in ((SGD, 0.5), (ADAM, 0.9))),
        goal_metric="val_loss",
        goal="minimize",
    )

    rows = build_leaderboard(table)
    header, cells = format_cells(rows)

    assert [row.arm for row in rows] == ["sgd", "adam"]
    assert dict(zip(header, cells[0], strict=True))["best val_loss"] == "0.5000"


def test_test_accuracy_is_the_mean_over_retrainings() -> None:
    row = build_leaderboard(
        build_table(SGD, build_confirmed("sgd", 0.70, seed=1), build_confirmed("sgd", 0.74, seed=2))
    )[0]

    assert row.test_accuracy == 0.72
    assert row.num_confirmed == 2
    assert "mean of 2" in format_markdown([row])


def test_test_accuracies_stand_beside_the_settings_that_they_were_measured_with() -> None:
    second = replace(build_trial("adam-1", "adam", 0.65), number=1, parameters={"lr": 0.1, "flip": True})
    retrained = [build_confirmed("adam", 0.7, 0.71, 1), build_confirmed("adam", 0.6, 0.8, 2, lr=0.1)]
    table = build_table(ADAM, second, *retrained)

    (row,) = build_leaderboard(table)
    winner = find_winner(table)

    assert (row.best_parameters["lr"], row.test_accuracy, row.num_confirmed) == (0.001, 0.7, 1)
    assert winner is not None
    assert winner.trial_id == "adam-c1"


def test_of_equal_trials_the_one_that_was_retrained_stands_for_its_arm() -> None:
    # An older version retrained number 1 of two equal trials after a crash.
    second = replace(build_trial("adam-1", "adam", 0.7), number=1, parameters={"lr": 0.1, "flip": True})

    (row,) = build_leaderboard(build_table(ADAM, second, build_confirmed("adam", 0.6, lr=0.1)))

    assert (row.best_trial_id, row.best_parameters["lr"], row.test_accuracy) == ("adam-1", 0.1, 0.6)


def test_costs_and_states_are_counted() -> None:
    stopped = build_trial("adam-1", "adam", 0.3, state=TrialState.EARLY_STOPPED)
    running = build_trial("adam-2", "adam", state=None)

    row = build_leaderboard(build_table(ADAM, stopped, running))[0]

    assert row.num_by_state == {"completed": 1, "early_stopped": 1, "running": 1}
    assert (row.num_trials, row.num_epochs, row.train_seconds) == (3, 4, 140.0)
    assert row.best_parameters == {"lr": 0.001}


@pytest.mark.parametrize(
    ("arm", "written"),
    [("a|b", r"a\|b"), ("[x](y)", r"\[x\](y)"), ("<b>", r"\<b\>"), ("_a_ `b`", r"\_a\_ \`b\`"), ("a\n|b", r"a \|b")],
)
def test_an_arm_is_no_markdown(arm: str, written: str) -> None:
    lines = format_markdown(build_leaderboard(build_table(build_trial("x", arm, 0.5)))).splitlines()

    assert lines[2].startswith(f"| {written} | ")
    assert len(lines) == 3


def test_no_column_for_test_accuracy_without_retraining() -> None:
    header, _ = format_cells(build_leaderboard(build_table(SGD)))

    assert "test accuracy" not in header


def test_numbers_and_durations_for_people() -> None:
    assert [format_number(value) for value in (0.00012345, 64, True, None, "adam", 0.1)] == [
        "0.0001234",
        "64",
        "true",
        "none",
        "adam",
        "0.1",
    ]


def test_headline_names_a_leader_only_when_the_margin_is_a_point_or_more() -> None:
    clear = build_table(SGD, ADAM, build_confirmed("sgd", 0.70), build_confirmed("adam", 0.75))
    close = build_table(SGD, ADAM, build_confirmed("sgd", 0.70), build_confirmed("adam", 0.705))

    assert build_headline(clear, build_leaderboard(clear)) == "adam leads with 75.00 % test accuracy"
    assert build_headline(close, build_leaderboard(close)).startswith("No clear winner: 70.50 % test accuracy for adam")
    assert "One seed per arm: an observation, not a verdict" in build_verdict(clear, build_leaderboard(clear))


def test_headline_without_success() -> None:
    failed = build_table(build_trial("a", "adam", state=TrialState.FAILED))

    assert build_headline(failed, build_leaderboard(failed)) == "No trial succeeded"
    assert build_headline(build_table(), ()) == "No trial was recorded"


def test_headline_of_a_single_arm_gives_its_settings_below() -> None:
    table = build_table(ADAM)
    rows = build_leaderboard(table)

    assert build_headline(table, rows) == "The best settings reach 70.00 % validation accuracy"
    assert build_verdict(table, rows) == "adam-0: lr 0.001."


def test_cautions() -> None:
    fair = build_table(SGD, ADAM)
    unequal = build_table(SGD, ADAM, build_trial("adam-1", "adam", 0.5))
    leaking = build_table(SGD, build_confirmed("sgd", 0.70, val_accuracy=0.75))

    assert build_cautions(fair, build_leaderboard(fair)) == ()
    assert "Unequal tuning" in build_cautions(unequal, build_leaderboard(unequal))[0]
    assert "5.0 points above test" in build_cautions(leaking, build_leaderboard(leaking))[0]
    assert "interrupted" in build_cautions(replace(fair, state="interrupted"), build_leaderboard(fair))[0]
    assert validation_test_gap(fair) is None


def test_equal_failures_are_told_once() -> None:
    table = build_table(
        build_trial("a", "adam", state=TrialState.DIVERGED, reason="not finite"),
        build_trial("b", "adam", state=TrialState.FAILED, reason="out of memory"),
        build_trial("c", "sgd", state=TrialState.FAILED, reason="out of memory"),
        build_trial("d", "sgd", state=TrialState.FAILED),
        SGD,
    )

    failures = build_failures(table)

    assert [(failure.state, failure.trial_ids) for failure in failures] == [
        (TrialState.FAILED, ("b", "c")),
        (TrialState.FAILED, ("d",)),
        (TrialState.DIVERGED, ("a",)),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_are_shown_as_the_largest_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
