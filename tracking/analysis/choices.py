"""What batch size, initialiser and every other searched choice do when the rest is tuned, and where arms change places.

All trials are compared after the last epoch that all of them reached, so that early stopping favours no choice. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracking.analysis.labels import PARAMETER_TITLES, format_number, is_fraction
from tracking.analysis.settings import MAX_LEVELS, is_number_line, level_key
from tracking.names import TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    from tracking.statistics.effects import Cells, MarginalEffect, Reversal

_NO_VALUE = (None, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True)
class Choice:
    """A searched setting with a few values.

    Attributes:
        name: Of the setting.
        epoch: After which the trials are compared.
        effect: What each value does, over the arms; None where there are too few trials.
        reversals: Pairs of arms that change places from one value to another, beyond noise.
    """

    name: str
    epoch: int
    effect: MarginalEffect | None
    reversals: tuple[Reversal, ...]


def measure_choices(table: SweepTable) -> tuple[Choice, ...]:
    """Every searched setting that takes 2 to 8 values, but for the one that is compared, in the order of the search.

    A trial that diverged counts as the worst of its arm. Failed trials say nothing of their settings.
    """
    from tracking.statistics.effects import find_reversals, marginal_effect

    trials = [trial for trial in table.select() if trial.state not in _NO_VALUE]
    epoch = min((trial.num_epochs for trial in trials if trial.state is not TrialState.DIVERGED), default=0)
    found, goal = [], Goal(table.goal)
    for name in table.searched:
        values = {trial.parameters[name] for trial in trials if name in trial.parameters}
        if name in table.compared or not 2 <= len(values) <= MAX_LEVELS or is_number_line(name, values):
            continue
        cells = _build_cells(table, name, trials, epoch)
        found.append(Choice(name, epoch, marginal_effect(cells, goal), find_reversals(cells, goal)))
    return tuple(found)


def _build_cells(table: SweepTable, name: str, trials: list[TrialRow], epoch: int) -> Cells:
    """Arm -> value of the setting -> what its trials had reached by the epoch, by rising value."""
    import numpy as np

    reached: dict[str, dict[float | int | str | bool | None, list[float]]] = {arm: {} for arm in table.arms}
    for trial in sorted(trials, key=lambda trial: level_key(trial.parameters.get(name))):
        if name in trial.parameters:
            value = math.nan if trial.state is TrialState.DIVERGED else table.value_until(trial, epoch)
            reached[trial.arm].setdefault(trial.parameters[name], []).append(value)
    return {arm: {level: np.array(values) for level, values in row.items()} for arm, row in reached.items() if row}


def tell_reversals(table: SweepTable) -> Iterator[str]:
    """Yields a sentence for each choice on which the order of two arms depends: neither is better by itself."""
    for choice in measure_choices(table):
        what = PARAMETER_TITLES.get(choice.name, choice.name.replace("_", " ")).partition(" (")[0]
        for each in choice.reversals:
            yield (
                f"{each.arm} and {each.other} change places with the {what}: with {format_number(each.level)}, "
                f"{each.arm} is ahead by {format_gap(table, each.difference)}; with {format_number(each.other_level)}, "
                f"it is behind by {format_gap(table, each.other_difference)} (tuned search trials after epoch "
                f"{choice.epoch}, p = {each.p_value:.2g})."
            )


def format_gap(table: SweepTable, difference: float) -> str:
    """A difference of the goal metric without its sign: `1.2 points` of an accuracy, else a plain number."""
    return f"{100 * abs(difference):.1f} points" if is_fraction(table.goal_metric) else f"{abs(difference):.3g}"
