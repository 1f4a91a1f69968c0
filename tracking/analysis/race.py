"""How the race of the retrainings stands, by what is recorded: the same rule as in the driver. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tracking.analysis.outcomes import WORST
from tracking.analysis.selection import rank_retrained
from tracking.names import VAL_ACCURACY, TrialState
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    from tracking.statistics.race import DroppedArm


def find_dropped(table: SweepTable) -> Mapping[str, DroppedArm]:
    """The arms that the race of a sweep dropped, each with when and by whom; none in a sweep without a race.

    The race looks at validation accuracies of the settings that stand for each arm, never at the test images.
    """
    if not table.confirmation.race:
        return {}
    from tracking.statistics.race import follow_race

    first = {arm: _list_first(table, arm) for arm in table.arms if table.ranking(arm)}
    longest = max(first.values(), key=len, default=())
    numbers = {trial.seed: number for number, trial in enumerate(longest)}
    ended = {
        arm: {numbers[trial.seed]: _accuracy(trial) for trial in trials if _is_over(trial) and trial.seed in numbers}
        for arm, trials in first.items()
    }
    standing = follow_race(ended, num_planned=table.confirmation.seeds, worst=WORST)
    return {each.arm: each for each in standing.dropped}


def count_saved(table: SweepTable) -> int:
    """How many retrainings the race has saved: planned for arms that it dropped, and never begun."""
    dropped, first = find_dropped(table), {arm: _list_first(table, arm) for arm in table.arms}
    trained = {arm: len(first[arm]) for arm in dropped}
    return sum(max(0, table.confirmation.seeds - number) for number in trained.values())


def _list_first(table: SweepTable, arm: str) -> tuple[TrialRow, ...]:
    """The retrainings of the configuration that was chosen first, in the order of their seeds."""
    trials = rank_retrained(table, arm)
    return tuple(trial for trial in trials if trial.configuration == trials[0].configuration)


def _accuracy(trial: TrialRow) -> float | None:
    if trial.state is TrialState.DIVERGED:
        return math.nan
    return trial.best(VAL_ACCURACY, "maximize") if trial.state is TrialState.COMPLETED else None


def _is_over(trial: TrialRow) -> bool:
    return trial.state not in (None, TrialState.STOPPED)
