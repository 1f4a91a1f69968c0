from __future__ import annotations

from dataclasses import replace

from large_table import build_large_table

from tracking.analysis.choices import measure_choices
from tracking.plots.choices import TITLE, build_choices_plot
from tracking.plots.style import NoPlot, Plot


def test_a_row_for_each_value_with_its_interval_in_points() -> None:
    table = build_large_table(48)
    plot = build_choices_plot(table)

    assert isinstance(plot, Plot)
    (points,) = plot.figure.data
    levels = [level for choice in measure_choices(table) if choice.effect for level in choice.effect.levels]
    assert list(points.x) == [100 * level.effect for level in levels]
    assert list(points.marker.symbol) == ["diamond" if level.is_clear else "diamond-open" for level in levels]
    assert [text.rpartition(" ")[0] for text in plot.figure.layout.yaxis.ticktext] == ["batch size"] * 3 + [
        "initialiser"
    ] * 2
    assert "After epoch 1, which all trials reached." in plot.caption
    assert plot.caption.startswith("Right of 0 is better: the validation accuracy of")


def test_less_is_better_of_a_loss() -> None:
    plot = build_choices_plot(build_large_table(48, goal_metric="val_loss", goal="minimize"))
    assert isinstance(plot, Plot)
    assert plot.caption.startswith("Left of 0 is better: the validation loss of")
    assert plot.figure.layout.xaxis.title.text == "above the mean"


def test_what_is_lacking_is_said() -> None:
    few = build_choices_plot(replace(build_large_table(24), trials=build_large_table(24).trials[:4]))
    assert few == NoPlot(TITLE, "It needs 3 ended trials of two values, the same values in every arm.")
    assert build_choices_plot(build_large_table(24, searched=("lr", "optimizer"))) is None
    table = build_large_table(48)
    one_size = tuple(trial for trial in table.trials if trial.arm != "sgd" or trial.parameters["batch_size"] == 32)
    plot = build_choices_plot(replace(table, trials=one_size))
    assert isinstance(plot, Plot)
    assert plot.caption.endswith("Too few trials in: sgd.")
