"""Plots, report and CSV over a realistic sweep made of formulas."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from build_table import ARMS, BEST_LR, build_table

from tracking.names import STAGE_SEARCH, TrialState
from tracking.plots.effects import build_effect
from tracking.plots.plots import build_plots
from tracking.plots.style import COLORS, Plot, arm_color, arm_dash, build_log_ticks
from tracking.report.page import build_page
from tracking.report.write import write_report, write_trials_csv
from tracking.table import SweepTable, parse_value


def plots_of(table: SweepTable) -> dict[str, Plot]:
    return {plot.key: plot for plot in build_plots(table)}


def traces(plot: Plot, **properties: Any) -> list[Any]:
    return [trace for trace in plot.figure.data if all(trace[key] == value for key, value in properties.items())]


def test_all_plots_of_a_sweep_over_lr_batch_size_and_initialiser() -> None:
    assert list(plots_of(build_table())) == [
        "best-val_accuracy",
        "median-val_accuracy",
        "best-val_loss",
        "median-val_loss",
        "trials-val_accuracy",
        "effect-lr",
        "effect-batch_size",
        "effect-initializer",
        "choices",
        "parallel",
        "expected-best",
        "chance-of-best",
        "target-epochs",
        "target-seconds",
        "survival",
        "agreement",
        "ledger",
    ]


def test_the_page_says_how_long_the_sweep_ran_under_its_drivers_and_nothing_where_that_is_unknown() -> None:
    assert kicker(build_page(build_table(seconds=754.0), "")).endswith(" UTC · ran for 12 min 34 s")
    assert "ran for" not in build_page(build_table(), "")
    assert " to " not in kicker(build_page(build_table(state="running"), ""))
    assert " to " in kicker(build_page(build_table(), ""))


def kicker(page: str) -> str:
    return page.partition('<p class="kicker">')[2].partition("</p>")[0]


def test_a_parameter_that_was_not_searched_has_no_plot() -> None:
    assert "effect-batch_size" not in plots_of(build_table(searched=("lr", "optimizer")))


def test_a_parameter_that_took_one_value_has_no_plot() -> None:
    table = build_table()
    fixed = tuple(replace(trial, parameters={**trial.parameters, "batch_size": 64}) for trial in table.trials)

    assert build_effect(replace(table, trials=fixed), "batch_size") is None


def test_retrainings_are_in_no_plot_but_that_of_costs() -> None:
    table = build_table()
    without = replace(table, trials=table.select(stage=STAGE_SEARCH))

    pairs = zip(build_plots(table), build_plots(without), strict=True)
    assert [one.key for one, other in pairs if one.figure.to_json() != other.figure.to_json()] == ["ledger"]


def test_best_curves_show_the_first_of_each_arms_ranking() -> None:
    table = build_table()

    for trace in plots_of(table)["best-val_accuracy"].figure.data:
        best = table.ranking(trace.name)[0]
        assert tuple(zip(trace.x, trace.y, strict=True)) == best.history["val_accuracy"]


def test_median_is_over_the_trials_that_reported_the_epoch() -> None:
    table = build_table()

    sgd = traces(plots_of(table)["median-val_accuracy"], name="sgd")[0]

    last = [trial.history["val_accuracy"][8][1] for trial in table.select("sgd") if trial.num_epochs == 9]
    assert len(last) == 2
    assert sgd.y[8] == pytest.approx(sum(last) / 2)
    assert sgd.text[8] == "median of 2 trials"
    assert [symbol.endswith("-open") for symbol in sgd.marker.symbol] == [False] + [True] * 8


def test_a_trial_cut_short_is_marked_where_it_ended() -> None:
    table = build_table()
    ends = [
        trace for trace in plots_of(table)["trials-val_accuracy"].figure.data if trace.mode == "markers" and trace.text
    ]

    drawn = sorted((x, symbol) for trace in ends for x, symbol in zip(trace.x, trace.marker.symbol, strict=True))

    states = [(trial.num_epochs, trial.state) for trial in table.select() if trial.history]
    symbols = {TrialState.COMPLETED: "circle", TrialState.EARLY_STOPPED: "circle-open", TrialState.DIVERGED: "x-thin"}
    assert drawn == sorted((epoch, symbols[state]) for epoch, state in states if state)


def test_lr_is_drawn_on_a_logarithmic_axis_with_one_point_per_trial_and_diverged_ones_crossed() -> None:
    table = build_table()
    plot = plots_of(table)["effect-lr"]

    points = [trace for trace in plot.figure.data if trace.mode == "markers" and trace.text]

    assert plot.figure.layout.xaxis.type == "log"
    assert sum(len(trace.x) for trace in points) == len(table.select()) - 2  # two failed: they say nothing about lr
    crosses = [symbol for trace in points for symbol in trace.marker.symbol if symbol.startswith("x")]
    assert len(crosses) == 4
    assert "diverged (4 of 24)" in plot.caption
    best = {trace.name: max(zip(trace.y, trace.x, strict=True))[1] for trace in points}
    assert all(abs(math.log10(best[arm] / BEST_LR[arm])) < 0.5 for arm in ARMS)


def test_no_line_joins_learning_rates_that_were_tried_once() -> None:
    assert not [trace for trace in plots_of(build_table())["effect-lr"].figure.data if trace.mode == "lines"]


def test_a_diverged_trial_without_any_epoch_stands_at_the_bottom() -> None:
    table = build_table()
    trials = [replace(trial, history={}, summary={}) if trial.number == 5 else trial for trial in table.trials]
    table = replace(table, trials=tuple(trials))

    plot = plots_of(table)["effect-lr"]

    values = [trace.y for trace in plot.figure.data if trace.mode == "markers" and trace.text]
    assert all(y[-1] == min(min(each) for each in values) for y in values)


def test_categories_are_in_their_order() -> None:
    plots = plots_of(build_table())

    assert plots["effect-batch_size"].figure.layout.xaxis.ticktext == ("32", "64", "128")
    assert plots["effect-initializer"].figure.layout.xaxis.ticktext == ("glorot_uniform", "he_normal")


def test_many_values_of_a_number_are_a_number_line() -> None:
    table = build_table()
    trials = tuple(
        replace(trial, parameters={**trial.parameters, "momentum": 0.5 + trial.number / 20 + index / 999})
        for index, trial in enumerate(table.trials)
    )
    table = replace(table, trials=trials, searched=("momentum",))

    axis = plots_of(table)["effect-momentum"].figure.layout.xaxis

    assert axis.ticktext is None
    assert axis.type != "log"


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((1e-5, 1.0), ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]),
        ((0.01, 0.1), ["0.01", "0.02", "0.05", "0.1"]),
        ((0.01, 0.01), ["0.01"]),
        ((0.0033, 0.0036), ["0.0033", "0.0036"]),
    ],
)
def test_ticks_of_a_logarithmic_axis(values: tuple[float, ...], ticks: list[str]) -> None:
    axis = build_log_ticks(values)

    assert all(axis["range"][0] < math.log10(value) < axis["range"][1] for value in values)
    assert axis["ticktext"] == ticks


def test_colours_repeat_with_another_line_only_after_all_are_used() -> None:
    arms = [f"arm-{index}" for index in range(20)]

    looks = [(arm_color(arms, arm), arm_dash(arms, arm)) for arm in arms]

    assert len(set(looks)) == 20
    assert len({color for color, _ in looks[: len(COLORS)]}) == len(COLORS)


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": ()},
        {"trials": (), "arms": ()},
        {"state": "running", "manifest": {}, "sweep_file": ""},
        {"goal_metric": "val_loss", "goal": "minimize"},
        {"compare": None, "arms": ("all",), "trials": ()},
    ],
)
def test_every_sweep_has_a_report(changes: dict[str, Any], tmp_path: Path) -> None:
    write_report(build_table(**changes), tmp_path / "report.html")

    assert "</html>" in (tmp_path / "report.html").read_text()


def test_a_sweep_with_running_trials_has_a_report() -> None:
    table = build_table(state="running")
    running = tuple(replace(trial, state=None, end_time=None) for trial in table.trials)

    page = build_page(replace(table, trials=running), "")

    assert f"{len(running)} of {len(running)} trials begun have not ended" in page
    assert "So far: " in page
    assert "data-reload-seconds" in page
    assert "data-reload-seconds=" not in build_page(build_table(), "")
    assert page.count('class="state running"') == len(running)


def test_the_report_needs_nothing_from_elsewhere() -> None:
    page = build_page(build_table(), plotly_js="")

    assert "<link" not in page
    assert "src=" not in page
    assert "default-src 'none'" in page


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text("old")
    table = build_table()
    broken: Any = object()
    last = replace(table.trials[-1], parameters={"lr": broken})

    with pytest.raises(TypeError):
        write_trials_csv(replace(table, trials=(*table.trials, last)), path)

    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["trials.csv"]


def test_csv_has_a_line_per_trial_with_settings_and_metrics(tmp_path: Path) -> None:
    table = build_table()
    write_trials_csv(table, tmp_path / "trials.csv")

    with (tmp_path / "trials.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))

    assert [line["trial_id"] for line in lines] == [trial.trial_id for trial in table.trials]
    for line, trial in zip(lines, table.trials, strict=True):
        assert {name: parse_value(line[f"param.{name}"]) for name in trial.parameters} == trial.parameters
        assert line["state"] == str(trial.state)
        assert int(line["epochs"]) == trial.num_epochs
        if "val_accuracy" in trial.summary:
            assert float(line["metric.val_accuracy"]) == trial.summary["val_accuracy"]
        else:
            assert line["metric.val_accuracy"] == ""
    assert lines[0]["start_time"].endswith("+00:00")
