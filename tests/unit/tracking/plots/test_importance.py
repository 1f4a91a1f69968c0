from __future__ import annotations

from large_table import build_large_table

from tracking.plots.importance import build_importance_plot
from tracking.plots.style import NoPlot, Plot


def test_a_row_for_each_setting_the_most_important_on_top() -> None:
    plot = build_importance_plot(build_large_table(24))

    assert isinstance(plot, Plot)
    assert plot.figure.layout.yaxis.ticktext[0] == "learning rate"
    assert plot.figure.layout.yaxis.range[0] > plot.figure.layout.yaxis.range[1]
    assert "at epoch 1, which all its trials reached" in plot.caption


def test_what_chance_gives_as_well_is_open() -> None:
    plot = build_importance_plot(build_large_table(24))

    assert isinstance(plot, Plot)
    points = next(trace for trace in plot.figure.data if trace.name == "adam" and trace.x != (None,))
    by_setting = dict(zip((text.partition(",")[0] for text in points.text), points.marker.symbol, strict=True))
    assert by_setting["learning rate"] == "triangle-up"
    assert by_setting["initialiser"] == "triangle-up-open"


def test_too_few_trials_are_said_and_one_setting_has_no_plot() -> None:
    plot = build_importance_plot(build_large_table(9))
    assert isinstance(plot, NoPlot)
    assert plot.reason == "It needs 10 ended trials of an arm with a value."
    assert build_importance_plot(build_large_table(9, searched=("lr", "optimizer"))) is None


def test_an_arm_with_too_few_trials_is_named() -> None:
    table = build_large_table(24)
    few = tuple(trial for trial in table.trials if trial.arm != "sgd" or trial.number < 5)

    plot = build_importance_plot(build_large_table(24, trials=few))

    assert isinstance(plot, Plot)
    assert plot.caption.endswith("Fewer than 10 trials with a value: sgd.")
