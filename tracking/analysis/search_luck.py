"""What the search trials of each arm came to, as the test for the luck of a search takes them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from itertools import permutations
from statistics import median
from typing import TYPE_CHECKING

from tracking.analysis.leaderboard import searched_parameters
from tracking.names import STAGE_CONFIRM, STAGE_SELECT, TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, Value

if TYPE_CHECKING:
    from tracking.statistics.search_luck import Pairing, SearchLuck

_NO_VALUE = (None, TrialState.STOPPED, TrialState.FAILED)


def judge_luck(table: SweepTable, arms: Collection[str], best: str, alpha: float) -> dict[Pairing, SearchLuck]:
    """Whether each pair of arms may owe its order to the luck of the searches.

    No luck is in it where every configuration that is listed was tried (`method: grid`), and where the arm behind had
    one configuration only.

    Args:
        table: The sweep.
        arms: Those that are judged; others, of which no trial came to anything, stand in nobody's way.
        best: The arm of these whose retrainings have the best mean.
        alpha: The chance that any pair of equal arms is called different.
    """
    from tracking.statistics.search_luck import judge_searches

    is_exhaustive = _is_exhaustive(table)
    single = {arm for arm in arms if _has_one_configuration(table, arm)}
    settled = frozenset(pair for pair in permutations(arms, 2) if is_exhaustive or pair[1] in single)
    return judge_searches({arm: list_final_scores(table, arm) for arm in arms}, best, settled, alpha)


def _is_exhaustive(table: SweepTable) -> bool:
    limits = table.manifest.get("search")
    return isinstance(limits, Mapping) and limits.get("exhaustive") is True


def _has_one_configuration(table: SweepTable, arm: str) -> bool:
    """Whether nothing was searched in an arm. Of one trial alone that shows only where it has no searched parameter."""
    tried = [searched_parameters(table, trial) for trial in table.select(arm)]
    return not any(tried) or (len(tried) > 1 and all(each == tried[0] for each in tried))


def list_final_scores(table: SweepTable, arm: str) -> list[float]:
    """What each search trial of an arm came to, or would have; more is better, minus infinity for one that diverged.

    The best trial of a configuration that was trained again counts as what its retrainings reached by validation, on
    average. A trial that was stopped early is taken to gain from there on what those of its arm gained that went on to
    the end, by their median. Where none did, it keeps what it had reached. Failed trials are left out.
    """
    sign = Goal(table.goal).sign
    trials = [trial for trial in table.select(arm) if trial.state not in _NO_VALUE]
    whole = [trial for trial in trials if trial.state is TrialState.COMPLETED and table.value(trial) is not None]
    gains: dict[int, float] = {}

    def gain_after(epoch: int) -> float:
        if epoch not in gains:
            found = [
                sign * (value - reached)
                for trial in whole
                if (value := table.value(trial)) is not None
                and math.isfinite(reached := table.value_until(trial, epoch))
            ]
            gains[epoch] = max(0.0, median(found)) if found else 0.0
        return gains[epoch]

    again = _list_retrained(table, arm, sign)
    return [
        again[trial.trial_id] if trial.trial_id in again else _final_score(table, trial, sign, gain_after)
        for trial in trials
    ]


def _list_retrained(table: SweepTable, arm: str, sign: float) -> dict[str, float]:
    """Search trial -> the mean of what its configuration reached when it was trained again; more is better."""
    retrained = [
        trial
        for stage in (STAGE_SELECT, STAGE_CONFIRM)
        for trial in table.select(arm, stage)
        if trial.state is TrialState.DIVERGED or (trial.state not in _NO_VALUE and table.value(trial) is not None)
    ]
    found: dict[str, float] = {}
    taken: list[Mapping[str, Value]] = []
    for trial in table.ranking(arm):
        if trial.configuration in taken:
            continue  # one draw of these settings is known better by that, not each of them
        taken.append(trial.configuration)
        of_it = [each for each in retrained if each.configuration == trial.configuration]
        scores = [_final_score(table, each, sign, lambda _: 0.0) for each in of_it]
        if scores:
            found[trial.trial_id] = sum(scores) / len(scores)
    return found


def _final_score(table: SweepTable, trial: TrialRow, sign: float, gain_after: Callable[[int], float]) -> float:
    value = table.value(trial)
    if trial.state is TrialState.DIVERGED or value is None:
        return -math.inf
    return sign * value + (gain_after(trial.num_epochs) if trial.state is TrialState.EARLY_STOPPED else 0.0)
