from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, SweepState, TrialState
from tracking.table import SweepTable, TrialRow, Value, format_value, parse_value


def build_trial(
    trial_id: str, state: TrialState | None, *accuracies: float, arm: str = "adam", number: int = 0
) -> TrialRow:
    history = {"val_accuracy": tuple(enumerate(accuracies, start=1))}
    return TrialRow(trial_id, number, arm, STAGE_SEARCH, state, "", 0, {}, history)


def build_table(*trials: TrialRow, goal: str = "maximize") -> SweepTable:
    arms = tuple(dict.fromkeys(trial.arm for trial in trials))
    return SweepTable("id", "n", "p", "completed", "val_accuracy", goal, "optimizer", arms, (), {}, "", trials)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()))
@example("0.1")
@example("null")
@example("NaN")
@example("")
@example('"quoted"')
@example(1.0)
def test_a_value_comes_back_with_its_type(value: Value) -> None:
    back = parse_value(format_value(value))

    assert back == value
    assert type(back) is type(value)


def test_what_others_wrote_is_read_as_text_or_number() -> None:
    assert parse_value("[1, 2]") == "[1, 2]"
    assert parse_value("he_normal") == "he_normal"
    assert parse_value("1e-3") == 0.001


def test_ranking_prefers_full_length_then_length_then_value() -> None:
    table = build_table(
        build_trial("stopped-at-1", TrialState.EARLY_STOPPED, 0.9),
        build_trial("stopped-at-2", TrialState.EARLY_STOPPED, 0.1, 0.2),
        build_trial("full-weak", TrialState.COMPLETED, 0.3, 0.4, 0.35),
        build_trial("full-strong", TrialState.COMPLETED, 0.3, 0.5, 0.2),
        build_trial("diverged", TrialState.DIVERGED, 0.99),
        build_trial("failed", TrialState.FAILED),
        build_trial("running", None, 0.99, 0.99, 0.99),
    )

    ranked = [trial.trial_id for trial in table.ranking("adam")]

    assert ranked == ["full-strong", "full-weak", "stopped-at-2", "stopped-at-1"]


def test_ranking_follows_the_goal() -> None:
    high, low = build_trial("high", TrialState.COMPLETED, 0.9), build_trial("low", TrialState.COMPLETED, 0.1)

    assert [trial.trial_id for trial in build_table(high, low, goal="minimize").ranking("adam")] == ["low", "high"]


def test_best_value_and_its_first_epoch() -> None:
    trial = build_trial("t", TrialState.COMPLETED, 0.2, 0.5, 0.5, 0.4)

    assert trial.best("val_accuracy", "maximize") == 0.5
    assert trial.best_epoch("val_accuracy", "maximize") == 2
    assert trial.best("val_accuracy", "minimize") == 0.2
    assert trial.best("val_loss", "minimize") is None
    assert trial.num_epochs == 4


def test_what_was_reached_with_weights_that_were_given_up_counts_for_nothing() -> None:
    points = ((1, 0.5), (2, 0.2), (3, 0.4), (4, 0.3))
    summary = {"best_val_accuracy": 0.6, "val_accuracy": 0.3}  # the first is what was taken over
    course = {"lr": 0.1, "changes": '{"2":{"lr":0.2}}'}
    trial = TrialRow(
        *("t", 0, "a", STAGE_SEARCH, None, "", 7, {"lr": 0.3, "seed": 7}, {"val_accuracy": points}, summary),
        course=course,
        since=2,
    )

    assert trial.best("val_accuracy", "maximize") == 0.4
    assert trial.best_epoch("val_accuracy", "maximize") == 3
    assert trial.configuration == course


def test_best_value_is_finite() -> None:
    trial = TrialRow("t", 0, "a", STAGE_SEARCH, None, "", 0, {}, {}, {"val_loss": math.inf, "best_val_loss": 1.5})

    assert trial.best("val_loss", "minimize") == 1.5
    assert trial.best("val_loss", "maximize") == 1.5


def test_select_by_stage_and_arm() -> None:
    search = build_trial("s", TrialState.COMPLETED, 0.1)
    confirm = TrialRow("c", 0, "adam", STAGE_CONFIRM, TrialState.COMPLETED, "", 7, {})
    table = build_table(search, confirm)

    assert table.select() == (search,)
    assert table.confirmed("adam") == (confirm,)
    assert table.confirmed("sgd") == ()
    assert table.select(stage=None) == (search, confirm)


def test_seconds_are_training_and_validation() -> None:
    history = {
        "train_seconds": ((1, 2.0), (2, 3.0)),
        "validation_seconds": ((1, 0.5), (2, 0.5)),
        "val_loss": ((1, 9.0),),
    }

    assert TrialRow("t", 0, "a", STAGE_SEARCH, None, "", 0, {}, history).seconds == 6.0


@pytest.mark.parametrize("state", TrialState)
def test_every_trial_state_is_a_closed_mlflow_status(state: TrialState) -> None:
    assert state.mlflow_status in {"FINISHED", "KILLED", "FAILED"}
    assert (state.mlflow_status == "FINISHED") == (state is TrialState.COMPLETED)


def test_sweep_states_in_mlflows_words() -> None:
    assert [state.mlflow_status for state in SweepState] == ["FINISHED", "KILLED", "FAILED"]


def test_light_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, tracking.names, tracking.table, tracking.analysis.leaderboard\n"
        "import tracking.recording.events, tracking.analysis.findings\n"
        "heavy = {'mlflow', 'torch', 'ray', 'optuna', 'pandas', 'plotly', 'scipy', 'numpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr == ""


def test_recorder_and_report_import_mlflow_and_plotly_only_when_used() -> None:
    code = (
        "import sys, tracking.recording.recorder, tracking.store.queries, tracking.report.page, tracking.store.ui\n"
        "heavy = {'mlflow', 'plotly', 'pandas', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr == ""
