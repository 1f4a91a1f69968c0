"""What a sweep shows, in sentences that claim no more than it does. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tracking.analysis.choices import tell_reversals
from tracking.analysis.inclusions import tell_lost_inclusions
from tracking.analysis.labels import METRIC_TITLES, PARAMETER_TITLES, format_number, format_parameters, format_percent
from tracking.analysis.leaderboard import LeaderboardRow, ranked_by_test
from tracking.analysis.race import count_saved
from tracking.analysis.untuned import tell_untuned
from tracking.analysis.verdict import count_lacking, judge_retrainings, tell_headline, tell_verdict
from tracking.names import BEST_VAL_ACCURACY, STATE_RUNNING, TEST_ACCURACY, VAL_ACCURACY, SweepState, TrialState
from tracking.ranking import CLOSE_LOSS, Goal
from tracking.statistics.levels import DEFAULT_SEEDS
from tracking.table import SweepTable

CLOSE = 0.01  # accuracies of one trial each that differ by less are called level; seeds differ by a point or more
MAX_NAMED = 8  # arms in the question
MAX_GAP = 0.02  # protocol: validation above test by more than two points is the mark of a leak


@dataclass(frozen=True)
class Failure:
    """Trials that ended badly for the same reason."""

    state: TrialState
    reason: str
    trial_ids: tuple[str, ...]


def build_question(table: SweepTable) -> str:
    """What the sweep asked, in one sentence."""
    metric = METRIC_TITLES.get(table.goal_metric, table.goal_metric.replace("_", " "))
    extreme = "highest" if Goal(table.goal) is Goal.MAXIMIZE else "lowest"
    if not table.compared:
        return f"Which settings reach the {extreme} {metric}?"
    what = " and ".join(PARAMETER_TITLES.get(name, name.replace("_", " ")) for name in table.compared)
    arms = f": {', '.join(table.arms[:-1])} or {table.arms[-1]}" if 1 < len(table.arms) <= MAX_NAMED else ""
    return f"Which {what} reaches the {extreme} {metric}{arms}?"


def build_headline(table: SweepTable, rows: Sequence[LeaderboardRow]) -> str:
    """One sentence on the outcome."""
    found = [row for row in rows if row.best_value is not None]
    if not found:
        return "No trial succeeded" if table.trials else "No trial was recorded"
    if judgement := judge_retrainings(table, rows):
        return tell_headline(judgement)
    best = found[0]
    value = _score(best, by_test=ranked_by_test(rows))
    if len(rows) == 1:
        return f"The best settings reach {value}"
    by_test = ranked_by_test(rows)
    if len(found) > 1 and _is_close(found, by_test=by_test):
        return f"No clear winner: {value} for {best.arm}, {_number(found[1], by_test=by_test)} for {found[1].arm}"
    return f"{best.arm} leads with {value}"


def build_verdict(table: SweepTable, rows: Sequence[LeaderboardRow]) -> str:
    """What may and what may not be concluded from the order of the arms; with one arm, its best settings."""
    found = [row for row in rows if row.best_value is not None]
    if len(found) < 2:
        return f"{found[0].best_trial_id}: {format_parameters(found[0].best_parameters)}." if found else ""
    if judgement := judge_retrainings(table, rows):
        return tell_verdict(judgement)
    by_test = ranked_by_test(rows)
    lead = f"{found[0].arm} is {_margin(found, by_test=by_test)} ahead of {found[1].arm}. "
    if not by_test:
        return lead + (
            "Not every arm's best settings were retrained, so this order is by validation, on which the settings were "
            "chosen: it is no test result and not a verdict."
        )
    if lacking := count_lacking(table, rows):
        told = ", ".join(f"{arm} {number}" for arm, number in lacking.items())
        planned = table.confirmation.seeds
        return f"{lead}No verdict before all {planned} seeds of every arm are in. Retrainings that are missing: {told}."
    return lead + (
        "One seed per arm: an observation, not a verdict. The same settings with another seed often differ by a "
        f"point or more. `sweeps confirm {table.sweep_id} --seeds {DEFAULT_SEEDS}` gives a verdict."
    )


def build_cautions(table: SweepTable, rows: Sequence[LeaderboardRow]) -> tuple[str, ...]:
    """What makes this comparison weaker than it looks."""
    cautions = []
    if table.state == SweepState.INTERRUPTED:
        cautions.append("The sweep was interrupted: what follows is what it had reached.")
    elif table.state == SweepState.FAILED:
        cautions.append("The sweep failed.")
    elif table.state == STATE_RUNNING:
        num_running = sum(trial.state is None for trial in table.trials)
        cautions.append(
            f"Half a report: the sweep is still running, {num_running} of {len(table.trials)} trials begun have not "
            "ended, and others may come. Nothing here is final."
        )
    if len({row.num_trials for row in rows}) > 1:
        counts = ", ".join(f"{row.arm} {row.num_trials}" for row in rows)
        cautions.append(f"Unequal tuning: the arms have different numbers of trials ({counts}).")
    gap = validation_test_gap(table)
    if gap is not None and gap > MAX_GAP:
        cautions.append(
            f"Validation lies {100 * gap:.1f} points above test on average: a sign that validation images leak into "
            "training, or that the settings fit the validation images."
        )
    return (*cautions, *tell_untuned(table), *tell_lost_inclusions(table, rows), *tell_reversals(table))


def validation_test_gap(table: SweepTable) -> float | None:
    """Mean over retrained trials of best validation accuracy minus test accuracy; None without retrainings."""
    gaps = [
        trial.summary[BEST_VAL_ACCURACY] - trial.summary[TEST_ACCURACY]
        for trial in table.confirmed()
        if BEST_VAL_ACCURACY in trial.summary and TEST_ACCURACY in trial.summary
    ]
    return sum(gaps) / len(gaps) if gaps else None


def build_failures(table: SweepTable) -> tuple[Failure, ...]:
    """Failed, diverged and interrupted trials, equal reasons together; failed ones first, then by their number."""
    groups: dict[tuple[TrialState, str], list[str]] = defaultdict(list)
    for trial in table.trials:
        if trial.state in _BAD_STATES:
            groups[trial.state, trial.stop_reason or "no reason was recorded"].append(trial.trial_id)
    failures = [Failure(state, reason, tuple(ids)) for (state, reason), ids in groups.items()]
    return tuple(sorted(failures, key=lambda failure: (_BAD_STATES.index(failure.state), -len(failure.trial_ids))))


def build_facts(table: SweepTable) -> tuple[tuple[str, str], ...]:
    """Name and value of what characterises the sweep."""
    states = Counter(trial.state for trial in table.select())
    facts = [("state", table.state), ("trials", str(len(table.select())))]
    facts += [(str(state).replace("_", " "), str(states[state])) for state in TrialState if states[state]]
    if table.confirmed():
        facts.append(("retrained", str(len(table.confirmed()))))
    if table.confirmation.race and table.confirmed():
        facts.append(("retrainings saved by the race", str(count_saved(table))))
    facts.append(("epochs trained", format_number(sum(trial.num_epochs for trial in table.trials))))
    gap = validation_test_gap(table)
    if gap is not None:
        facts.append(("validation − test", f"{100 * gap:+.1f} points"))
    return tuple(facts)


_WORDS = {VAL_ACCURACY: "validation accuracy", "val_loss": "validation loss"}
_BAD_STATES = (TrialState.FAILED, TrialState.DIVERGED, TrialState.STOPPED)


def _score(row: LeaderboardRow, *, by_test: bool) -> str:
    number = _number(row, by_test=by_test)
    if by_test:
        return f"{number} test accuracy"
    return f"{number} {_WORDS.get(row.goal_metric, row.goal_metric)}"


def _number(row: LeaderboardRow, *, by_test: bool) -> str:
    if by_test:
        return format_percent(row.test_accuracy)
    return format_percent(row.best_value) if row.goal_metric == VAL_ACCURACY else f"{row.best_value:.4f}"


def _is_close(rows: Sequence[LeaderboardRow], *, by_test: bool) -> bool:
    """Whether the first two arms are too near each other to name a winner."""
    first, second = ((row.test_accuracy if by_test else row.best_value) or 0.0 for row in rows[:2])
    is_accuracy = by_test or rows[0].goal_metric == VAL_ACCURACY
    return abs(first - second) < (CLOSE if is_accuracy else CLOSE_LOSS * abs(second))


def _margin(rows: Sequence[LeaderboardRow], *, by_test: bool) -> str:
    values = [(row.test_accuracy if by_test else row.best_value) or 0.0 for row in rows[:2]]
    if by_test or rows[0].goal_metric == VAL_ACCURACY:
        return f"{100 * abs(values[0] - values[1]):.1f} points"
    return f"{abs(values[0] - values[1]):.4f}"
