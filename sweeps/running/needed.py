"""Which checkpoints of a sweep's trials are still needed: pure."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

from sweeps.stopping.rules import RULES
from sweeps.trials.ledger import TrialEntry, TrialPhase
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep


def count_superfluous(sweep: RunningSweep, entries: Iterable[TrialEntry]) -> dict[str, int]:
    """Trials with checkpoints that nobody needs any more, by id: how many of the latest ones have to stay."""
    waiting = {entry.arm for entry in sweep.ledger.select() if _may_copy(entry)} if _changes_settings(sweep) else set()
    needed = {entry.trial_id: _count_needed(sweep, entry, waiting) for entry in entries}
    return {trial_id: count for trial_id, count in needed.items() if count is not None}


def list_affected(sweep: RunningSweep, entry: TrialEntry) -> list[TrialEntry]:
    """The trials whose checkpoints may be needed no longer, now that one has paused or ended."""
    return list(sweep.ledger.select(entry.arm, entry.stage)) if _changes_settings(sweep) else [entry]


def _count_needed(sweep: RunningSweep, entry: TrialEntry, waiting: Set[str]) -> int | None:
    """How many of a trial's checkpoints, the latest ones, are needed; None for all of them.

    A trial that waits goes on from its last one. One that failed runs again with `sweeps resume --failed`, and its last
    one shows what it came to. A retraining that came to its end may be the one whose weights are registered. Where
    trials go on with the weights of others, one that has ended may be the donor of any that has not: `waiting` has the
    arms with such trials.
    """
    if entry.phase is TrialPhase.PAUSED:
        return None if _changes_settings(sweep) else 1
    if not entry.ended or entry.state is TrialState.STOPPED:  # which a resumed sweep goes on with
        return None
    if entry.state is TrialState.FAILED:
        return None if entry.stage == STAGE_SEARCH and entry.arm in waiting else 1
    if entry.stage == STAGE_CONFIRM:
        return 1 if entry.state is TrialState.COMPLETED else 0
    if entry.stage != STAGE_SEARCH:
        return 0
    return None if entry.arm in waiting else 0


def _may_copy(entry: TrialEntry) -> bool:
    """Whether a search trial may yet go on with the weights of another."""
    return entry.stage == STAGE_SEARCH and not (entry.ended and entry.state is not TrialState.STOPPED)


def _changes_settings(sweep: RunningSweep) -> bool:
    rule = sweep.spec.early_terminate
    return rule is not None and RULES[rule.type].changes_settings
