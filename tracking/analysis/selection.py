"""Which of an arm's best settings the selection chose, and by what. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tracking.analysis.labels import format_percent, is_fraction
from tracking.names import STAGE_SELECT, TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, Value


@dataclass(frozen=True)
class Selected:
    """One configuration that was looked at again.

    Attributes:
        trial_id: The search trial that had it; "" where that is gone.
        search_value: What that one reached, of the goal metric; None where unknown.
        mean: Over the seeds of the selection, of the goal metric; a diverged one counts as the worst. None for none.
        num_seeds: How many that is over.
        is_chosen: Whether it was retrained, and its test accuracy read.
    """

    arm: str
    trial_id: str
    search_value: float | None
    mean: float | None
    num_seeds: int
    is_chosen: bool


def rank_retrained(table: SweepTable, arm: str) -> tuple[TrialRow, ...]:
    """An arm's retrainings, those of the configuration that stands for it first, each by the order of its seeds.

    Of those that the selection looked at, that of the best mean stands first, then as the search ranks them: as the
    driver chooses. Of a sweep that was extended, one that was chosen before may not be the first any more.
    """
    ranking = [trial.configuration for trial in table.ranking(arm)]
    means: dict[int, float] = {}
    for rank, configuration in enumerate(ranking):
        of_it = (trial for trial in table.select(arm, STAGE_SELECT) if trial.configuration == configuration)
        scores = [score for trial in of_it if (score := _score(table, trial)) is not None]
        if scores:
            means.setdefault(rank, math.fsum(scores) / len(scores))

    def key(trial: TrialRow) -> tuple[bool, float, int, int]:
        rank = ranking.index(trial.configuration) if trial.configuration in ranking else len(ranking)
        mean = means.get(rank)
        return mean is None, 0.0 if mean is None else -Goal(table.goal).sign * mean, rank, trial.number

    return tuple(sorted(table.confirmed(arm), key=key))


def list_selected(table: SweepTable) -> tuple[Selected, ...]:
    """What the selection looked at: by arm, in the order in which the search ranks it."""
    found = []
    for arm in table.arms:
        groups: list[tuple[Mapping[str, Value], list[TrialRow]]] = []
        for trial in table.select(arm, STAGE_SELECT):
            same = next((each for configuration, each in groups if configuration == trial.configuration), None)
            if same is None:
                groups.append((trial.configuration, same := []))
            same.append(trial)
        confirmed = [trial.configuration for trial in table.confirmed(arm)]
        for configuration, trials in groups:
            origin = next((each for each in table.ranking(arm) if each.configuration == configuration), None)
            scores = [score for trial in trials if (score := _score(table, trial)) is not None]
            found.append(
                Selected(
                    arm=arm,
                    trial_id=origin.trial_id if origin else "",
                    search_value=table.value(origin) if origin else None,
                    mean=math.fsum(scores) / len(scores) if scores else None,
                    num_seeds=len(scores),
                    is_chosen=configuration in confirmed,
                )
            )
    return tuple(found)


def _score(table: SweepTable, trial: TrialRow) -> float | None:
    if trial.state is TrialState.DIVERGED:
        return 0.0 if Goal(table.goal) is Goal.MAXIMIZE else math.inf
    return table.value(trial) if trial.state is TrialState.COMPLETED else None


def format_selection(table: SweepTable) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and cells of the selection as text."""

    def show(value: float | None) -> str:
        if value is None:
            return "–"
        return format_percent(value) if is_fraction(table.goal_metric) else f"{value:.4f}"

    header = ("arm", "settings of", "in the search", "mean over fresh seeds", "seeds", "chosen")
    cells = tuple(
        (
            each.arm,
            each.trial_id or "–",
            show(each.search_value),
            show(each.mean),
            str(each.num_seeds),
            "yes" if each.is_chosen else "no",
        )
        for each in list_selected(table)
    )
    return header, cells
