from __future__ import annotations

from dataclasses import replace

from tracking.analysis.plan_accuracy import ForecastRow, build_forecast
from tracking.names import STAGE_SEARCH, TrialState
from tracking.report.page import build_page
from tracking.table import SweepTable, TrialRow

PLAN = {
    "cpus": 2,
    "wall_seconds": {"low": 60.0, "mid": 80.0, "high": 100.0},
    "core_hours": {"low": 0.05, "mid": 0.1, "high": 0.2},
    "epochs": {"low": 4.0, "mid": 4.0, "high": 4.0},
}


def build_trial(number: int) -> TrialRow:
    history = {"val_accuracy": ((1, 0.2), (2, 0.3)), "train_seconds": ((1, 40.0), (2, 50.0))}
    return TrialRow(
        f"all-{number:03d}",
        number,
        "all",
        STAGE_SEARCH,
        TrialState.COMPLETED,
        "epochs",
        0,
        {"lr": 0.1},
        history,
        {"val_accuracy": 0.3},
        start_time=1000.0 + 10 * number,
        end_time=1088.0 + 10 * number,
    )


def build_table(**changes: object) -> SweepTable:
    table = SweepTable(
        sweep_id="s",
        name="s",
        project="p",
        state="completed",
        goal_metric="val_accuracy",
        goal="maximize",
        compare=None,
        arms=("all",),
        searched=("lr",),
        manifest={"seed": 0, "plan": PLAN},
        sweep_file="",
        trials=(build_trial(0), build_trial(1)),
    )
    return replace(table, **changes)  # type: ignore[arg-type]


def test_predicted_and_actual_stand_side_by_side() -> None:
    assert build_forecast(build_table()) == (
        ForecastRow("wall time", "1 min 20 s (1 min 00 s to 1 min 40 s)", "1 min 38 s", 98 / 80 - 1),
        ForecastRow("core-hours", "0.10 (0.05 to 0.20)", "0.10", 2 * 180 / 3600 / 0.1 - 1),
        ForecastRow("epochs", "4", "4", 0.0),
    )


def test_the_time_between_two_drivers_is_no_wall_time() -> None:
    late = replace(build_trial(1), start_time=1010.0, end_time=90_000.0)  # it was resumed on the next day
    resumed = build_forecast(build_table(trials=(build_trial(0), late), seconds=120.0))
    assert resumed[0].actual == "2 min 00 s"
    assert build_forecast(build_table(seconds=9000.0))[0].actual == "1 min 38 s", "its first trial began later"
    backwards = tuple(replace(build_trial(0), start_time=5000.0, end_time=1400.0) for _ in range(2))
    assert build_forecast(build_table(trials=backwards))[0].actual == "0 s"


def test_what_was_not_measured_is_left_out() -> None:
    plan = {"cpus": 1, "wall_seconds": None, "core_hours": None, "epochs": PLAN["epochs"]}
    assert [row.name for row in build_forecast(build_table(manifest={"plan": plan}))] == ["epochs"]


def test_a_sweep_without_a_plan_or_cut_off_has_none() -> None:
    assert build_forecast(build_table(manifest={"seed": 0})) == ()
    assert build_forecast(build_table(state="interrupted")) == ()
    assert build_forecast(build_table(trials=())) == ()


def test_the_report_shows_it_once() -> None:
    page = build_page(build_table(), "")
    assert "Predicted and actual" in page
    assert '<td class="number">+23%</td>' in page
    assert "plan.wall_seconds" not in page
    assert "Predicted and actual" not in build_page(build_table(manifest={}), "")
