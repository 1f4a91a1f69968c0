"""Which settings decide whether a trial of an arm is among its best, from the sweep's own trials. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracking.analysis.leaderboard import searched_parameters
from tracking.analysis.settings import is_logarithmic, is_number_line, to_float
from tracking.names import TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, Value

if TYPE_CHECKING:
    from tracking.statistics.edges import SearchedRange
    from tracking.statistics.importance import Importance
    from tracking.statistics.intervals import Vector

_LOST = (TrialState.DIVERGED, TrialState.FAILED)


@dataclass(frozen=True)
class ArmImportance:
    """What decides in one arm.

    Attributes:
        epoch: At which all its trials are compared: the last one that all of them reached.
        settings: The most important first.
    """

    epoch: int
    settings: tuple[Importance, ...]


def measure_importances(table: SweepTable) -> dict[str, ArmImportance]:
    """Arm -> what decides; arms with too few trials for it are left out.

    A range goes from the lowest to the highest value that was tried: the sweep's own range may be wider.
    """
    from tracking.statistics.importance import measure_importance

    found = {}
    for arm in table.arms:
        trials = [trial for trial in table.select(arm) if trial.state not in (None, TrialState.STOPPED)]
        epoch = min((trial.num_epochs for trial in trials if trial.state not in _LOST), default=0)
        configurations = [searched_parameters(table, trial) for trial in trials]
        names = dict.fromkeys(name for configuration in configurations for name in configuration)
        values = [[each[name] for each in configurations if name in each] for name in names]
        space = {name: _find_domain(name, tried) for name, tried in zip(names, values, strict=True)}
        scores = _list_scores(table, trials, epoch)
        if settings := measure_importance(space, configurations, scores, Goal(table.goal)):
            found[arm] = ArmImportance(epoch, settings)
    return found


def _list_scores(table: SweepTable, trials: Sequence[TrialRow], epoch: int) -> Vector:
    """The best value of each trial up to an epoch; NaN for one that diverged or failed."""
    import numpy as np

    return np.array([math.nan if trial.state in _LOST else table.value_until(trial, epoch) for trial in trials])


def _find_domain(name: str, values: Sequence[Value]) -> SearchedRange | tuple[Value, ...]:
    """The range or the choices that the values of a setting come from."""
    from tracking.statistics.edges import SearchedRange

    if not is_number_line(name, values) or len(set(values)) < 2:
        return tuple(dict.fromkeys(values))
    numbers = [to_float(value) for value in values]
    step = 1 if all(isinstance(value, int) for value in values) else None
    return SearchedRange(min(numbers), max(numbers), is_logarithmic(name, numbers), step=step)
