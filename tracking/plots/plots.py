"""A sweep's plots: SweepTable -> plotly figures. Pure.

`build_plots` has search trials only, `build_confirmed_plots` retrainings only. A trial that was stopped early is drawn
with the value it had reached and an open symbol. What there is nothing to show of has no plot.
"""

from __future__ import annotations

from tracking.names import VAL_ACCURACY, VAL_LOSS
from tracking.plots.budgets import build_chance_plot, build_expected_best_plot
from tracking.plots.confirmed import build_confirmed_plot, build_gap_plot
from tracking.plots.curves import build_best_curves, build_median_curves, build_trial_curves
from tracking.plots.effects import build_effect
from tracking.plots.front import build_front_plot
from tracking.plots.style import Plot
from tracking.plots.targets import build_target_plot
from tracking.table import SweepTable

__all__ = ["Plot", "build_confirmed_plots", "build_plots"]

FIRST_EFFECTS = ("lr", "batch_size", "initializer")


def build_plots(table: SweepTable) -> tuple[Plot, ...]:
    """All plots that the sweep has values for, in the order of reading."""
    searched = [name for name in table.searched if name not in table.compared]
    effects = [name for name in FIRST_EFFECTS if name in searched]
    effects += [name for name in searched if name not in effects]
    plots = (
        build_front_plot(table),
        build_best_curves(table, VAL_ACCURACY),
        build_median_curves(table, VAL_ACCURACY),
        build_best_curves(table, VAL_LOSS),
        build_median_curves(table, VAL_LOSS),
        build_trial_curves(table, table.goal_metric),
        *(build_effect(table, name) for name in effects),
        build_expected_best_plot(table),
        build_chance_plot(table),
        build_target_plot(table, "epochs"),
        build_target_plot(table, "seconds"),
    )
    return tuple(plot for plot in plots if plot is not None)


def build_confirmed_plots(table: SweepTable) -> tuple[Plot, ...]:
    """The plots of the retrainings: test accuracy first."""
    plots = (build_confirmed_plot(table), build_gap_plot(table))
    return tuple(plot for plot in plots if plot is not None)
