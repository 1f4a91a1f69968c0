"""A sweep's plots: SweepTable -> plotly figures, in the sections of the report. Pure.

`build_sections` has search trials only, `build_confirmed_plots` retrainings only; the cost ledger has both. A trial
that was stopped early is drawn with the value it had reached and an open symbol. What there is nothing to show of has
no plot; where a reader may look for it, a `NoPlot` says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracking.names import VAL_ACCURACY, VAL_LOSS
from tracking.plots.budgets import build_chance_plot, build_expected_best_plot
from tracking.plots.choices import build_choices_plot
from tracking.plots.confirmed import build_confirmed_plot, build_gap_plot
from tracking.plots.curvature import build_curvature_plot
from tracking.plots.curves import build_best_curves, build_median_curves, build_trial_curves
from tracking.plots.effects import build_effect
from tracking.plots.front import build_front_plot
from tracking.plots.health import build_health_plot, build_layers_plot
from tracking.plots.importance import build_importance_plot
from tracking.plots.ledger import build_ledger_plot
from tracking.plots.parallel import build_parallel_plot
from tracking.plots.rungs import build_agreement_plot, build_survival_plot
from tracking.plots.style import NoPlot, Plot
from tracking.plots.targets import build_target_plot
from tracking.table import SweepTable

__all__ = ["NoPlot", "Plot", "Section", "build_confirmed_plots", "build_plots", "build_sections"]

FIRST_EFFECTS = ("lr", "batch_size", "initializer")


@dataclass(frozen=True)
class Section:
    """Plots that answer one question.

    Attributes:
        title: The question in a few words.
        plots: In the order of reading.
        missing: What the sweep has no values for.
    """

    title: str
    plots: tuple[Plot, ...]
    missing: tuple[NoPlot, ...]


def build_sections(table: SweepTable) -> tuple[Section, ...]:
    """All plots of the search, in the order of reading; no section for a sweep without trials."""
    if not table.trials:
        return ()
    searched = [name for name in table.searched if name not in table.compared]
    effects = [name for name in FIRST_EFFECTS if name in searched]
    effects += [name for name in searched if name not in effects]
    sections = (
        _build_section(
            "How the trials trained",
            build_front_plot(table),
            build_best_curves(table, VAL_ACCURACY),
            build_median_curves(table, VAL_ACCURACY),
            build_best_curves(table, VAL_LOSS),
            build_median_curves(table, VAL_LOSS),
            build_trial_curves(table, table.goal_metric),
        ),
        _build_section(
            "What the settings do",
            *(build_effect(table, name) for name in effects),
            build_choices_plot(table),
            build_importance_plot(table),
            build_parallel_plot(table),
        ),
        _build_section(
            "What a search of another size would find",
            build_expected_best_plot(table),
            build_chance_plot(table),
            build_target_plot(table, "epochs"),
            build_target_plot(table, "seconds"),
        ),
        _build_section(
            "Early stopping and cost",
            build_survival_plot(table),
            build_agreement_plot(table),
            build_ledger_plot(table),
        ),
        _build_section(
            "Whether the networks learn",
            build_health_plot(table),
            build_curvature_plot(table),
            build_layers_plot(table),
        ),
    )
    return tuple(section for section in sections if section.plots or section.missing)


def _build_section(title: str, *built: Plot | NoPlot | None) -> Section:
    plots: Iterable[Plot] = (each for each in built if isinstance(each, Plot))
    return Section(title, tuple(plots), tuple(each for each in built if isinstance(each, NoPlot)))


def build_plots(table: SweepTable) -> tuple[Plot, ...]:
    """The plots of all sections."""
    return tuple(plot for section in build_sections(table) for plot in section.plots)


def build_confirmed_plots(table: SweepTable) -> tuple[Plot, ...]:
    """The plots of the retrainings: test accuracy first."""
    plots = (build_confirmed_plot(table), build_gap_plot(table))
    return tuple(plot for plot in plots if plot is not None)
