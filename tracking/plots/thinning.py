"""Which trials are drawn where there are more than anybody can tell apart. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

MAX_DRAWN = 600  # trials in a figure, an equal share for each arm
BEST_SHARE = 0.25  # of them are the best ones


def thin_trials(table: SweepTable, trials: Sequence[TrialRow]) -> tuple[TrialRow, ...]:
    """Trials of one arm, in their order: all, or the best of many and others evenly spread.

    What is computed from trials, such as a median, is computed from all of them.
    """
    most = max(MAX_DRAWN // max(len(table.arms), 1), 8)
    if len(trials) <= most:
        return tuple(trials)
    sign = Goal(table.goal).sign
    values = [table.value(trial) for trial in trials]
    scores = [-math.inf if value is None else sign * value for value in values]
    best_first = sorted(range(len(trials)), key=lambda index: -scores[index])
    num_best = round(BEST_SHARE * most)
    others, wanted = sorted(best_first[num_best:]), most - num_best
    spread = [others[round(step * (len(others) - 1) / (wanted - 1))] for step in range(wanted)]
    return tuple(trials[index] for index in sorted({*best_first[:num_best], *spread}))


def tell_thinned(table: SweepTable) -> str:
    """That a figure does not show every trial, where it does not; with a space before it."""
    numbers = [(len(trials), len(thin_trials(table, trials))) for arm in table.arms if (trials := table.select(arm))]
    number, drawn = (sum(each) for each in zip(*numbers, strict=True)) if numbers else (0, 0)
    if number == drawn:
        return ""
    return f" {drawn:,} of {number:,} trials are drawn: the best of each arm, and others evenly spread."
