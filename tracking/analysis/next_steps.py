"""What to do after a sweep, as commands that can be run as they stand. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracking.analysis.growth import GROWTH, plan_growth, read_limits
from tracking.analysis.inclusions import tell_lost_inclusions
from tracking.analysis.leaderboard import LeaderboardRow
from tracking.analysis.verdict import MIN_SEEDS, Judgement, judge_retrainings, tell_luck
from tracking.names import CHOSEN_BY, STATE_RUNNING, SweepState, TrialState
from tracking.statistics.levels import DEFAULT_SEEDS
from tracking.statistics.power import MAX_SEEDS
from tracking.statistics.verdict import Verdict
from tracking.table import SweepTable

MOST_GROWTH = 3  # times the trials that there are, in one extension


@dataclass(frozen=True)
class NextStep:
    """One thing to do.

    Attributes:
        reason: Why, in one sentence.
        command: As a shell takes it; "" where there is nothing to do.
    """

    reason: str
    command: str = ""


def build_next_steps(table: SweepTable, rows: Sequence[LeaderboardRow]) -> tuple[NextStep, ...]:
    """What a sweep asks for, in the order in which it should be done; nothing of one that runs.

    A sweep that asks for nothing has one step, which says so. One that was recorded without the limits of its search,
    before November 28, 2026, is told of seeds and failures alone.

    Args:
        table: The sweep.
        rows: Its leaderboard.
    """
    if table.state == STATE_RUNNING:
        return ()
    failed = find_failed(table)
    if table.state != SweepState.COMPLETED:
        again = f", and runs {len(failed)} that failed again" if failed else ""
        what = f"It has not come to its end: this goes on with it{again}."
        return (NextStep(what, f"sweeps resume {table.sweep_id}{' --failed' if failed else ''}"),)
    steps = (*_retry(table, failed), *_grow(table, rows), *_add_seeds(table, rows))
    return steps or (NextStep(_tell_nothing(table, rows)),)


def find_failed(table: SweepTable) -> tuple[str, ...]:
    """Trials that failed and that `sweeps resume --failed` runs again: those by which nothing has been chosen yet."""
    begun = {(trial.arm, trial.stage) for trial in table.trials}
    return tuple(
        trial.trial_id
        for trial in table.trials
        if trial.state is TrialState.FAILED
        and not any((trial.arm, later) in begun for later in CHOSEN_BY.get(trial.stage, ()))
    )


def _retry(table: SweepTable, failed: Sequence[str]) -> Iterator[NextStep]:
    if failed:
        number, them = (f"{len(failed)} trials", "them") if len(failed) > 1 else (failed[0], "it")
        yield NextStep(f"{number} failed; this runs {them} again.", f"sweeps resume {table.sweep_id} --failed")


def _grow(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[NextStep]:
    judgement = judge_retrainings(table, rows)
    luck = tell_luck(judgement) if judgement else ""
    faults = (*([luck] if luck else []), *tell_lost_inclusions(table, rows))
    growth = plan_growth(table, faults, max(GROWTH, _reckon_growth(judgement)) if judgement else GROWTH)
    if growth is not None:
        sets = " ".join(f"--set {shlex.quote(each)}" for each in growth.overrides)
        reason = " ".join(growth.reasons)
        if growth.overrides:
            yield NextStep(reason, f"sweeps run --extend {table.sweep_id} {sets}")
        else:
            yield NextStep(f"{reason} A population cannot be searched further: start a new sweep.")


def _reckon_growth(judgement: Judgement) -> float:
    """How many times as many trials would show that the best arm owes its lead to no luck, if as many stay ahead."""
    from tracking.statistics.search_luck import least_ahead

    factors = [1.0]
    for each in judgement.luck.values():
        pair = judgement.pair(each.other)
        if pair is None or pair.verdict is not Verdict.NOT_ENOUGH_TRIALS:
            continue
        sizes = range(each.num_trials + 1, MOST_GROWTH * each.num_trials + 1)
        shown = (
            size / each.num_trials
            for size in sizes
            if (needed := least_ahead(size, size, judgement.later_alpha)) is not None
            and needed <= each.num_ahead * size // each.num_trials
        )
        factors.append(next(shown, MOST_GROWTH))
    return max(factors)


def _add_seeds(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[NextStep]:
    """Seeds for a verdict, where there is none."""
    if len([row for row in rows if row.best_value is not None]) < 2:
        return
    judgement, seeds = judge_retrainings(table, rows), table.confirmation.seeds
    if judgement is None:
        limits = read_limits(table)
        if seeds < MIN_SEEDS and limits is not None and limits.can_grow:
            reason = f"One seed of each arm, or none, is no verdict; {DEFAULT_SEEDS} of each give one."
            yield NextStep(reason, f"sweeps confirm {table.sweep_id} --seeds {DEFAULT_SEEDS}")
        return
    unclear = [pair for pair in judgement.comparison.to_best() if pair.verdict is Verdict.NOT_ENOUGH_SEEDS]
    missing = [pair.num_more_seeds for pair in unclear if pair.num_more_seeds]
    if missing and seeds < MAX_SEEDS:
        names = ", ".join(pair.other for pair in unclear if pair.num_more_seeds)
        yield NextStep(
            f"{judgement.comparison.best} and {names} cannot be told apart yet: {max(missing)} more seeds would decide "
            "with 80 % probability.",
            f"sweeps confirm {table.sweep_id} --seeds {min(MAX_SEEDS, seeds + max(missing))}",
        )


def _tell_nothing(table: SweepTable, rows: Sequence[LeaderboardRow]) -> str:
    judgement = judge_retrainings(table, rows)
    if judgement is not None and any(
        pair.verdict is Verdict.NOT_ENOUGH_SEEDS for pair in judgement.comparison.to_best()
    ):
        return "Nothing: no affordable number of seeds would tell the best arms apart."
    if judgement is not None and tell_luck(judgement):
        return f"Nothing a command could do: {tell_luck(judgement)} Start a new sweep with more trials."
    verdict = "the verdict stands" if judgement is not None else "no seed is missing"
    if read_limits(table) is None:
        return f"Nothing: {verdict}. What was searched is not in its record."
    return f"Nothing: {verdict}, no best setting lies at an edge, and more trials would hardly find better."
