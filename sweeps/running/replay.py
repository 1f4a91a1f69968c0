"""What an earlier driver of a sweep knew, from the journal that it wrote: how a sweep is resumed.

The journal is written before anything takes effect, one event at a time, and is the only state of a sweep that outlives
its driver: what one file says cannot disagree with another. (Tune's own snapshot is several files, written one after
another every ten seconds: a driver killed in between comes back with trials that only some of them know.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sweeps.running.budgets import find_shortfall
from sweeps.running.lifecycle import take_change
from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_SEARCH, TRAIN_SECONDS, VALIDATION_SECONDS, TrialState

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep
    from tracking.recording.events import Event


def replay(sweep: RunningSweep, events: Iterable[Event]) -> None:
    """Brings a new sweep's ledger, rules and deadline to where the journal's events leave them.

    A trial that was stopped because its sweep ended counts as unfinished: it goes on. Failures in a row count from 0,
    since whoever resumes a sweep that they ended has looked into them.

    Args:
        sweep: Nothing has run under it.
        events: Of the same sweep, in order.
    """
    for event in events:
        match event.kind:
            case "start_sweep":
                hours = sweep.spec.budget.hours
                if hours is not None and sweep.deadline is None:
                    sweep.deadline = event.time_ms / 1000 + 3600 * hours
            case "start_trial":
                _start(sweep, event.content)
            case "epoch":
                _record_epoch(sweep, event.trial_id, event.content)
            case "pause":
                sweep.ledger.pause(sweep.ledger.entries[event.trial_id])
            case "go_on":
                entry = sweep.ledger.entries[event.trial_id]
                sweep.rules[entry.arm].promote(entry.number)
                take_change(entry, event.content)
            case "end_trial":
                _end(sweep, event.trial_id, event.content)
    sweep.ledger.forgive()


def _start(sweep: RunningSweep, trial: Mapping[str, Any]) -> None:
    if trial["trial_id"] not in sweep.ledger.entries:  # else it was opened again after a resume
        names = ("trial_id", "arm", "stage", "number", "seed", "parameters")
        sweep.ledger.add(TrialEntry(**{name: trial[name] for name in names}))


def _record_epoch(sweep: RunningSweep, trial_id: str, content: Mapping[str, Any]) -> None:
    epoch, metrics = content["epoch"], content["metrics"]
    score = metrics[sweep.spec.metric.name]
    seconds = metrics[TRAIN_SECONDS] + metrics[VALIDATION_SECONDS]
    if sweep.ledger.record_epoch(trial_id, epoch, score, seconds, metrics):
        entry = sweep.ledger.entries[trial_id]
        entry.marks.update(content.get("marks", {}))
        entry.summary.update(content.get("summary", {}))
        if entry.stage == STAGE_SEARCH and not content.get("ended"):  # what ended by itself was not judged
            decision = sweep.rules[entry.arm].judge(entry.number, epoch, sweep.goal.sign * score)
            stopped = decision.reason if decision.action == "stop" else ""
            entry.stop_reason = stopped or find_shortfall(sweep.spec, epoch, entry.best_score)
            entry.pausing = decision.action == "pause" and not entry.stop_reason


def _end(sweep: RunningSweep, trial_id: str, content: Mapping[str, Any]) -> None:
    state = TrialState(content["state"])
    if state is TrialState.STOPPED:
        return
    entry = sweep.ledger.entries[trial_id]
    entry.started = True
    entry.summary.update(content["metrics"])
    entry.marks.update(content.get("marks", {}))  # journals of before November 25, 2026 have none
    sweep.ledger.end(trial_id, state, content["stop_reason"])
    if entry.stage == STAGE_SEARCH and state in (TrialState.FAILED, TrialState.EARLY_STOPPED):
        sweep.rules[entry.arm].forget(entry.number)
    if entry.stage == STAGE_SEARCH and state in (TrialState.COMPLETED, TrialState.DIVERGED):
        score = math.nan if state is TrialState.DIVERGED else sweep.goal.sign * entry.last_score
        sweep.rules[entry.arm].record_ended(entry.number, entry.epoch, score)
