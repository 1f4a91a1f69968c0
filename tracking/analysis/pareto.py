"""The trials of a sweep with several metrics that no other trial beats in all of them. Pure.

Source: Deb et al. 2002, section III, for what dominates what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tracking.analysis.labels import format_percent, title_of
from tracking.names import TRAIN_SECONDS, VAL_ACCURACY, VAL_LOSS, TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, sum_points


@dataclass(frozen=True)
class FrontTrial:
    """A trial of the front.

    Attributes:
        trial: The trial.
        values: What it came to, in the order of the sweep's metrics.
    """

    trial: TrialRow
    values: tuple[float, ...]


def find_front(table: SweepTable) -> tuple[FrontTrial, ...]:
    """The search trials, of those that ran to their end, that no other beats; the best of the first metric first.

    One trial beats another where it is at least as good in every metric, and better in one.
    """
    finished = list_finished(table)
    front = [each for each in finished if not any(_beats(table, other, each) for other in finished)]
    sign = Goal(table.metrics[0][1]).sign if table.metrics else 1.0
    return tuple(sorted(front, key=lambda each: (-sign * each.values[0], each.trial.trial_id)))


def format_front(table: SweepTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of the front; the arm is left out of a sweep without several."""
    compares = len(table.arms) > 1
    header = ["trial", *(["arm"] if compares else []), *(title_of_metric(name) for name, _ in table.metrics)]
    rows = [
        [
            each.trial.trial_id,
            *([each.trial.arm] if compares else []),
            *(format_metric(name, value) for (name, _), value in zip(table.metrics, each.values, strict=True)),
        ]
        for each in find_front(table)
    ]
    return header, rows


def list_finished(table: SweepTable) -> list[FrontTrial]:
    """The search trials that ran to their end and have a value of every metric."""
    found = []
    for trial in table.select():
        values = tuple(_find_value(trial, name, goal) for name, goal in table.metrics)
        if trial.state is TrialState.COMPLETED and all(map(math.isfinite, values)):
            found.append(FrontTrial(trial, values))
    return found


def _find_value(trial: TrialRow, name: str, goal: str) -> float:
    """The best of a validation metric, the sum of another over the epochs; NaN for none."""
    if name in (VAL_ACCURACY, VAL_LOSS):
        best = trial.best(name, goal)
        return math.nan if best is None else best
    points = trial.history.get(name, ())
    return sum_points(points) if points else math.nan


def _beats(table: SweepTable, one: FrontTrial, other: FrontTrial) -> bool:
    compared = [
        (Goal(goal), mine, its) for mine, its, (_, goal) in zip(one.values, other.values, table.metrics, strict=True)
    ]
    at_least_as_good = all(goal.reaches(mine, its) for goal, mine, its in compared)
    return at_least_as_good and any(goal.beats(mine, its) for goal, mine, its in compared)


def title_of_metric(name: str) -> str:
    """A metric's name for a reader, with its unit."""
    return {TRAIN_SECONDS: "training time (s)"}.get(name, title_of(name))


def format_metric(name: str, value: float) -> str:
    """A metric's value for a reader."""
    if name == VAL_ACCURACY:
        return format_percent(value)
    if name == TRAIN_SECONDS:
        return f"{value:,.1f}"
    return f"{value:.4f}" if name == VAL_LOSS else f"{value:,.0f}"


def list_names(table: SweepTable) -> str:
    """The names of the metrics that a sweep is judged by, as words of a sentence."""
    *others, last = (title_of_metric(name) for name, _ in table.metrics)
    return f"{', '.join(others)} and {last}"
