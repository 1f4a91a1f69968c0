"""One row per arm, best first. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tracking.analysis.labels import format_duration, format_parameters, format_percent, format_states
from tracking.analysis.race import find_dropped
from tracking.analysis.selection import rank_retrained
from tracking.names import BEST_VAL_ACCURACY, TEST_ACCURACY, VAL_ACCURACY, TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow, Value

RUNNING = "running"
STATE_ORDER = (*(str(state) for state in TrialState), RUNNING)


@dataclass(frozen=True)
class LeaderboardRow:
    """One arm's outcome.

    Attributes:
        num_by_state: Search trials by state ("running" for open ones), states without a trial left out.
        num_epochs: Epochs trained over all trials, retrainings included; `train_seconds` likewise.
        best_trial_id: The search trial whose configuration stands for the arm (`find_best`), None when none succeeded.
        best_value: Its best value of the goal metric; `best_val_accuracy` is its best validation accuracy.
        best_parameters: Those of its settings that the sweep searched.
        test_accuracy: Mean over the retrainings of that configuration, 0..1, diverged ones as 0; None when there
            was none.
        num_confirmed: How many retrainings that mean is over.
    """

    rank: int
    arm: str
    num_trials: int
    num_by_state: Mapping[str, int]
    num_epochs: int
    train_seconds: float
    goal_metric: str
    best_trial_id: str | None
    best_value: float | None
    best_val_accuracy: float | None
    best_parameters: Mapping[str, Value]
    test_accuracy: float | None
    num_confirmed: int


def build_leaderboard(table: SweepTable) -> tuple[LeaderboardRow, ...]:
    """The arms, best first.

    Arms are ordered by test accuracy when every arm that has a best trial was retrained, else all of them by their
    best validation value: the two are never mixed. Arms that the race dropped come after those that it left, and arms
    without any success last.
    """
    rows = [_build_row(table, arm) for arm in table.arms]
    by_test = ranked_by_test(rows)
    sign, dropped = Goal(table.goal).sign, find_dropped(table)

    def key(row: LeaderboardRow) -> tuple[bool, bool, float]:
        if row.best_value is None:
            return (True, False, 0.0)
        is_tested = by_test and row.test_accuracy is not None
        value = row.test_accuracy if is_tested and row.test_accuracy is not None else sign * row.best_value
        return (False, is_tested and row.arm in dropped, -value)

    rows.sort(key=key)
    return tuple(LeaderboardRow(**{**vars(row), "rank": rank}) for rank, row in enumerate(rows, start=1))


def ranked_by_test(rows: Sequence[LeaderboardRow]) -> bool:
    """Whether the order of these rows is that of test accuracy."""
    candidates = [row for row in rows if row.best_value is not None]
    return bool(candidates) and all(row.test_accuracy is not None for row in candidates)


def find_winner(table: SweepTable) -> TrialRow | None:
    """The retraining that stands for the sweep: the one that stands for its leading arm; None where it has none."""
    rows = build_leaderboard(table)
    return find_standing(table, rows[0].arm) if rows else None


def find_standing(table: SweepTable, arm: str) -> TrialRow | None:
    """The retraining that stands for an arm: of its best configuration, that of best validation value.

    None when that configuration was not retrained to its end.
    """
    best = find_best(table, arm)
    retrained = [
        (-Goal(table.goal).sign * value, trial.number, trial)
        for trial in (table.retrainings(best) if best else ())
        if TEST_ACCURACY in trial.summary and (value := table.value(trial)) is not None
    ]
    return min(retrained, key=lambda each: each[:2])[2] if retrained else None


def find_best(table: SweepTable, arm: str) -> TrialRow | None:
    """The search trial whose configuration stands for an arm; None when none succeeded.

    Of those that were retrained it is the one that was chosen first, by validation, of which a retraining has a test
    accuracy. Where none has one, it is the first that was retrained; where none was, the best of the search.
    """
    ranking = table.ranking(arm)
    retrained = rank_retrained(table, arm)
    tested = [trial for trial in retrained if TEST_ACCURACY in trial.summary]
    for chosen in (*tested, *retrained):
        origin = next((trial for trial in ranking if trial.configuration == chosen.configuration), None)
        if origin is not None:
            return origin
    return ranking[0] if ranking else None


def _build_row(table: SweepTable, arm: str) -> LeaderboardRow:
    search, every = table.select(arm), table.select(arm, None)
    states = Counter(str(trial.state) if trial.state else RUNNING for trial in search)
    best = find_best(table, arm)
    retrained = table.retrainings(best) if best else ()
    # A retraining that diverged counts as the worst (protocol, rule 7), and is no reason to leave the arm out.
    test = [
        trial.summary.get(TEST_ACCURACY, 0.0)
        for trial in retrained
        if TEST_ACCURACY in trial.summary or trial.state is TrialState.DIVERGED
    ]
    return LeaderboardRow(
        rank=0,
        arm=arm,
        num_trials=len(search),
        num_by_state={state: states[state] for state in STATE_ORDER if states[state]},
        num_epochs=sum(trial.num_epochs for trial in every),
        train_seconds=math.fsum(trial.seconds for trial in every),
        goal_metric=table.goal_metric,
        best_trial_id=best.trial_id if best else None,
        best_value=table.value(best) if best else None,
        best_val_accuracy=_best_accuracy(best) if best else None,
        best_parameters=_describe_best(table, best) if best else {},
        test_accuracy=math.fsum(test) / len(test) if test else None,
        num_confirmed=len(test),
    )


def _best_accuracy(trial: TrialRow) -> float | None:
    own = None if trial.since else trial.summary.get(BEST_VAL_ACCURACY)
    return own or trial.best(VAL_ACCURACY, "maximize")


def _describe_best(table: SweepTable, best: TrialRow) -> dict[str, Value]:
    """Its values of the searched parameters; of one whose settings have changed, what its course begins with."""
    settings = searched_parameters(table, replace(best, parameters=best.configuration))
    changes = best.configuration.get("changes") if best.course else None
    if changes is None:
        return settings
    epochs = list(json.loads(str(changes)))
    return {**settings, "changes": f"after {'epoch' if len(epochs) == 1 else 'epochs'} {' '.join(epochs)}"}


def searched_parameters(table: SweepTable, trial: TrialRow) -> dict[str, Value]:
    """A trial's values of the searched parameters; the compared one is the arm's name and is left out."""
    return {
        name: trial.parameters[name]
        for name in table.searched
        if name in trial.parameters and name not in table.compared
    }


def format_cells(rows: Sequence[LeaderboardRow]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and cells of the leaderboard as text, for a terminal, Markdown or HTML; an empty column is left out."""
    goal_is_accuracy = all(row.goal_metric == VAL_ACCURACY for row in rows)
    header = ["arm", "test accuracy", "best val. accuracy", "best settings", "trials", "epochs", "time"]
    cells = [
        [
            row.arm,
            format_percent(row.test_accuracy) + (f" (mean of {row.num_confirmed})" if row.num_confirmed > 1 else ""),
            format_percent(row.best_val_accuracy),
            format_parameters(row.best_parameters),
            format_states(row.num_by_state),
            str(row.num_epochs),
            format_duration(row.train_seconds),
        ]
        for row in rows
    ]
    if not goal_is_accuracy:
        header.insert(2, f"best {rows[0].goal_metric}")
        for line, row in zip(cells, rows, strict=True):
            line.insert(2, "–" if row.best_value is None else f"{row.best_value:.4f}")
    if all(row.num_confirmed == 0 for row in rows):
        del header[1]
        for line in cells:
            del line[1]
    return tuple(header), tuple(tuple(line) for line in cells)


def format_markdown(rows: Sequence[LeaderboardRow]) -> str:
    """The leaderboard as a Markdown table, in which nothing but its lines is Markdown."""
    return format_markdown_table(*format_cells(rows))


def format_markdown_table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Header and cells as a Markdown table, numbers on the right of all columns but the first."""
    marks = tuple("---" if index == 0 else "---:" for index in range(len(header)))
    first, *others = ("| " + " | ".join(map(escape_markdown, line)) + " |" for line in (header, *cells))
    return "\n".join((first, f"| {' | '.join(marks)} |", *others)) + "\n"


def escape_markdown(text: str) -> str:
    """Text in one line, none of which is read as Markdown or HTML where a line does not begin with it."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", " ".join(text.split()))
