"""What to do after a sweep, as commands: the first that its result calls for. Pure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracking.analysis.edges import find_edges
from tracking.analysis.leaderboard import LeaderboardRow
from tracking.analysis.untuned import tell_untuned
from tracking.analysis.verdict import judge_retrainings
from tracking.names import STAGE_SEARCH, STATE_RUNNING, SweepState, TrialState
from tracking.statistics.levels import MIN_VERDICT_SEEDS
from tracking.statistics.verdict import Verdict
from tracking.table import SweepTable

MORE_TRIALS = 1.5  # times as many
SEEDS = 10  # protocol, rule 8


@dataclass(frozen=True)
class NextStep:
    """One thing to do.

    Attributes:
        reason: Why, in a sentence or two.
        command: What does it; "" where there is nothing to do, or no command for it.
    """

    reason: str
    command: str = ""


def build_next_steps(table: SweepTable, rows: Sequence[LeaderboardRow]) -> tuple[NextStep, ...]:
    """What to do next, the most pressing first; one that says so where nothing is; none while the sweep runs.

    Ranges come before seeds: seeds confirm the settings that were found, and a wider search may find others.

    Args:
        table: The sweep.
        rows: Its leaderboard.
    """
    if table.state == STATE_RUNNING:
        return ()
    if table.state == SweepState.INTERRUPTED:
        return (NextStep("The sweep is not done.", f"sweeps resume {table.sweep_id}"),)
    steps = (*_repeat_failed(table), *_widen(table), *_search_more(table), *_add_seeds(table, rows))
    return steps or (NextStep("Nothing: no range is too narrow, and no seed is missing."),)


def _repeat_failed(table: SweepTable) -> Iterator[NextStep]:
    """Trials that failed, where the best of their arm are not chosen yet, and retrainings that did."""
    chosen = {trial.arm for trial in table.trials if trial.stage != STAGE_SEARCH}
    failed = [
        trial.trial_id
        for trial in table.trials
        if trial.state is TrialState.FAILED and (trial.stage != STAGE_SEARCH or trial.arm not in chosen)
    ]
    if failed:
        what = f"{failed[0]} failed" if len(failed) == 1 else f"{len(failed)} trials failed"
        yield NextStep(f"{what}. When the cause is mended, run them again.", f"sweeps resume {table.sweep_id} --failed")


def _widen(table: SweepTable) -> Iterator[NextStep]:
    edges = find_edges(table)
    if not edges:
        return
    command = _extend(table, [edge.override for edge in edges if edge.override])
    yield NextStep(" ".join(edge.sentence for edge in edges), command)


def _search_more(table: SweepTable) -> Iterator[NextStep]:
    """A larger search where tuned settings do not beat the defaults; the budget stays equal for all arms."""
    if tell_untuned(table) and not find_edges(table):
        yield NextStep(
            "An arm's tuned settings do not beat its defaults: give every arm more trials, so that all stay equal.",
            _extend(table, []),
        )


def _extend(table: SweepTable, overrides: Sequence[str]) -> str:
    """The command that goes on with the search, larger; "" where it cannot."""
    search = table.manifest.get("search")
    if not isinstance(search, Mapping) or not search.get("can_extend"):
        return ""
    budget = search.get("budget") or {}
    raised = [f"{budget['key']}={_raise(budget['key'], budget['value'])}"] if budget else []
    if not (raised or overrides):
        return ""
    given = " ".join(f"--set {shlex.quote(each)}" for each in (*raised, *overrides))
    return f"sweeps run --extend {table.sweep_id} {given}"


def _is_population(table: SweepTable) -> bool:
    search = table.manifest.get("search")
    return isinstance(search, Mapping) and not search.get("can_extend")


def _raise(key: str, value: float) -> str:
    """A greater budget; one of all trials is doubled, so that it still divides among the arms."""
    if key == "budget.trials":
        return f"{2 * value:g}"
    return f"{math.ceil(MORE_TRIALS * value)}" if isinstance(value, int) else f"{MORE_TRIALS * value:g}"


def _add_seeds(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[NextStep]:
    has_best = [row for row in rows if row.best_value is not None]
    if len(has_best) < 2 or (not table.confirmed() and _is_population(table)):
        return
    judgement = judge_retrainings(table, rows)
    seeds = min(row.num_confirmed for row in has_best)
    if judgement is None:
        number = max(SEEDS, 2 * seeds)
        yield NextStep("Too few seeds for a verdict.", f"sweeps confirm {table.sweep_id} --seeds {number}")
        return
    unclear = [pair for pair in judgement.comparison.to_best() if pair.verdict is Verdict.NOT_ENOUGH_SEEDS]
    if judgement.winner or not unclear:
        return
    more = [pair.num_more_seeds for pair in unclear]
    if None in more:
        yield NextStep(
            "By the noise so far no affordable number of seeds would tell the leading arms apart: take either of them."
        )
        return
    number = max(MIN_VERDICT_SEEDS, seeds + max(each for each in more if each is not None))
    reason = f"By the noise so far {number} seeds in all would decide between the leading arms with 80 % probability."
    yield NextStep(reason, f"sweeps confirm {table.sweep_id} --seeds {number}")
