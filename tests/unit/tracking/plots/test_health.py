from __future__ import annotations

from typing import Any

import pytest
from plain_table import plain_table, search_trial

from tracking.plots.health import MAX_CELLS, build_health_plot, build_layers_plot
from tracking.plots.style import NoPlot, Plot
from tracking.table import SweepTable

LAYERS = {
    "health.gradient_norm.head": ((1, 1.0), (2, 10.0)),
    "health.gradient_norm.features.10": ((1, 0.1), (2, 0.01)),
    "health.gradient_norm.features.2": ((1, 0.001), (2, 0.0)),
}
SCALARS = {
    "health.gradient_norm": ((1, 1.5), (2, 2.5)),
    "health.update_to_weight": ((1, 0.002), (2, 0.001)),
    "health.dead_units": ((1, 0.0), (2, 0.25)),
}


def healthy(**more: Any) -> SweepTable:
    trials = (search_trial("adam", 0, 0.1, 0.2), search_trial("adam", 1, 0.3, 0.4), search_trial("sgd", 0, 0.1, 0.2))
    return plain_table(*trials, health={"adam-001": {**LAYERS, **SCALARS, **more}})


def traces_of(plot: Plot | NoPlot) -> Any:
    assert isinstance(plot, Plot)
    return plot.figure.data


def test_one_quantity_is_shown_at_a_time() -> None:
    plot = build_health_plot(healthy())

    gradient, step, dead = traces_of(plot)
    assert (gradient.x, gradient.y, gradient.visible) == ((1, 2), (1.5, 2.5), True)
    assert (step.y, step.visible, dead.y, dead.visible) == ((0.002, 0.001), False, (0.0, 0.25), False)
    assert isinstance(plot, Plot)
    buttons = plot.figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["gradient", "step", "dead units"]
    assert buttons[2].args[0]["visible"] == [False, False, True]
    assert buttons[2].args[1]["yaxis.type"] == "linear"


def test_the_first_layer_is_on_top_and_the_last_at_the_foot() -> None:
    plot = build_layers_plot(healthy())

    (panel,) = traces_of(plot)
    assert panel.y == ("features.2", "features.10", "head")
    assert isinstance(plot, Plot)
    assert plot.figure.layout.yaxis.autorange == "reversed"


def test_colours_are_of_the_logarithm_and_a_norm_of_zero_has_none() -> None:
    plot = build_layers_plot(healthy())

    (panel,) = traces_of(plot)
    assert list(panel.z) == [[-3, None], [-1, -2], [0, 1]]
    assert isinstance(plot, Plot)
    colors = plot.figure.layout.coloraxis
    assert (colors.cmin, colors.cmax) == (-3, 1)
    assert colors.colorbar.ticktext == ("0.001", "0.01", "0.1", "1", "10")


@pytest.mark.parametrize("num_epochs", [MAX_CELLS, 300])
def test_a_long_training_of_a_deep_network_is_thinned(num_epochs: int) -> None:
    points = tuple((epoch, 1.0) for epoch in range(1, num_epochs + 1))
    deep = {f"health.gradient_norm.features.{index}": points for index in range(150)}

    (panel,) = traces_of(build_layers_plot(plain_table(search_trial("adam", 0, 0.1), health={"adam-000": deep})))

    assert (len(panel.x), len(panel.y)) == (MAX_CELLS, MAX_CELLS)
    assert (panel.x[0], panel.x[-1]) == (1, num_epochs)
    assert (panel.y[0], panel.y[-1]) == ("features.0", "features.149")


def test_where_nothing_was_recorded_the_reason_is_said() -> None:
    table = plain_table(search_trial("adam", 0, 0.1, 0.2))

    for plot in (build_health_plot(table), build_layers_plot(table)):
        assert isinstance(plot, NoPlot)
        assert plot.reason == "No arm’s best trial has recorded an epoch of it."
