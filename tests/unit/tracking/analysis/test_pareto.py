from __future__ import annotations

import math

import pytest

from tracking.analysis.pareto import find_front, format_front
from tracking.names import STAGE_SEARCH, TrialState
from tracking.plots.front import build_front_plot
from tracking.report.page import build_page
from tracking.table import SweepTable, TrialRow

METRICS = (("val_accuracy", "maximize"), ("train_seconds", "minimize"))


def build_trial(
    number: int, accuracy: float, seconds: float, *, arm: str = "sgd", state: TrialState = TrialState.COMPLETED
) -> TrialRow:
    history = {
        "val_accuracy": ((1, accuracy), (2, accuracy - 0.1)),  # the best epoch counts
        "train_seconds": ((1, seconds / 2), (2, seconds / 2)),  # and the sum
        "val_loss": ((1, 1.0), (2, 0.5)),
    }
    return TrialRow(f"{arm}-{number:03d}", number, arm, STAGE_SEARCH, state, "", 0, {"lr": 0.1}, history, {})


def build_table(*trials: TrialRow, metrics: tuple[tuple[str, str], ...] = METRICS) -> SweepTable:
    return SweepTable(
        sweep_id="s",
        name="s",
        project="p",
        state="completed",
        goal_metric="val_accuracy",
        goal="maximize",
        compare="optimizer",
        arms=("sgd", "adam"),
        searched=("lr",),
        manifest={},
        sweep_file="",
        trials=trials,
        metrics=metrics,
    )


TABLE = build_table(
    build_trial(0, 0.5, 10.0),
    build_trial(1, 0.7, 30.0),
    build_trial(2, 0.6, 40.0),  # worse and slower than 1
    build_trial(0, 0.7, 30.0, arm="adam"),  # as good as 1: both stay
    build_trial(1, 0.9, 1.0, arm="adam", state=TrialState.EARLY_STOPPED),
    build_trial(2, math.nan, 1.0, arm="adam"),
)


def test_the_front_has_what_no_other_beats() -> None:
    front = find_front(TABLE)
    assert [each.trial.trial_id for each in front] == ["adam-000", "sgd-001", "sgd-000"]
    assert [each.values for each in front] == [(0.7, 30.0), (0.7, 30.0), (0.5, 10.0)]


def test_every_goal_counts_in_its_direction() -> None:
    metrics = (("val_loss", "minimize"), ("val_accuracy", "maximize"), ("train_seconds", "minimize"))
    front = find_front(build_table(*TABLE.trials, metrics=metrics))
    assert {each.trial.trial_id for each in front} == {"adam-000", "sgd-001", "sgd-000"}
    assert front[0].values[0] == 0.5


def test_of_a_trial_without_a_value_nothing_is_said() -> None:
    metrics = (("val_accuracy", "maximize"), ("num_gradient_evaluations", "minimize"))
    assert find_front(build_table(*TABLE.trials, metrics=metrics)) == ()


def test_rows_are_in_words() -> None:
    assert format_front(TABLE) == (
        ["trial", "arm", "validation accuracy", "training time (s)"],
        [
            ["adam-000", "adam", "70.00 %", "30.0"],
            ["sgd-001", "sgd", "70.00 %", "30.0"],
            ["sgd-000", "sgd", "50.00 %", "10.0"],
        ],
    )


def test_the_plot_has_a_point_for_every_finished_trial_and_fills_the_front() -> None:
    plot = build_front_plot(TABLE)
    assert plot is not None
    line, sgd, adam = plot.figure.data
    assert list(line.x) == sorted(line.x) == [10.0, 30.0, 30.0]
    assert list(sgd.marker.symbol) == ["circle", "circle", "circle-open"]
    assert list(adam.x) == [30.0]


@pytest.mark.parametrize("metrics", [(), METRICS[:1]])
def test_one_metric_has_no_front_to_draw(metrics: tuple[tuple[str, str], ...]) -> None:
    assert build_front_plot(build_table(*TABLE.trials, metrics=metrics)) is None


def test_the_report_has_a_section_only_where_there_are_several_metrics() -> None:
    assert 'aria-label="Pareto front"' in build_page(TABLE, "")
    assert "Pareto" not in build_page(build_table(*TABLE.trials, metrics=()), "")
