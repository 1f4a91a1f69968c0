"""What an earlier driver of a sweep knew, from the journal that it wrote: how a sweep is resumed.

The journal is written before anything takes effect, one event at a time, and is the only state of a sweep that outlives
its driver: what one file says cannot disagree with another. (Tune's own snapshot is several files, written one after
another every ten seconds: a driver killed in between comes back with trials that only some of them know.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from sweeps.running import lifecycle
from sweeps.running.lifecycle import Ending, TrialResult
from sweeps.trials.ledger import TrialEntry, TrialPhase
from tracking.names import TrialState
from tracking.recording.events import (
    EpochRecorded,
    TrialEnded,
    TrialPaused,
    TrialResumed,
    TrialStarted,
)

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep
    from tracking.recording.events import Event, TrialRecord
    from tracking.recording.recorder import Recorder


class DeafRecorder:
    """Records nothing: what is replayed is in the journal already."""

    def _ignore(self, *_: Any, **__: Any) -> None:
        return

    start_trial = record_epoch = pause_trial = go_on_trial = end_trial = note_phase = _ignore


def replay(sweep: RunningSweep, events: Iterable[Event]) -> None:
    """Brings a new sweep's ledger, rules and time to where the journal's events leave them.

    A trial that was stopped because its sweep ended counts as unfinished: it goes on. Failures in a row count from 0,
    since whoever resumes a sweep that they ended has looked into them.

    Args:
        sweep: Nothing has run under it.
        events: Of the same sweep, in order.
    """
    recorder, listeners = sweep.recorder, sweep.listeners
    sweep.recorder, sweep.listeners = cast("Recorder", DeafRecorder()), []
    for event in events:
        _replay_event(sweep, event)
    sweep.recorder, sweep.listeners = recorder, listeners
    sweep.opened.clear()
    sweep.ledger.reset_failures()


def _replay_event(sweep: RunningSweep, event: Event) -> None:
    entries = sweep.ledger.entries
    sweep.time.take(event)
    match event.what:
        case TrialStarted(record):
            _start(sweep, record)
        case EpochRecorded() as epoch:
            _take_result(sweep, entries[epoch.trial_id], epoch, event.time_ms)
        case TrialPaused(trial_id):
            _pause(sweep, entries[trial_id])
        case TrialResumed(trial_id, change):
            lifecycle.take_change(sweep, entries[trial_id], change)
        case TrialEnded() as ended:
            _end(sweep, entries[ended.trial_id], ended)


def _start(sweep: RunningSweep, record: TrialRecord) -> None:
    if record.trial_id not in sweep.ledger.entries:  # else it was opened again after a resume
        names = ("trial_id", "arm", "stage", "number", "seed", "parameters")
        lifecycle.propose(sweep, TrialEntry(**{name: getattr(record, name) for name in names}))
    lifecycle.start(sweep, sweep.ledger.entries[record.trial_id])


def _take_result(sweep: RunningSweep, entry: TrialEntry, epoch: EpochRecorded, time_ms: int) -> None:
    if entry.phase is TrialPhase.STOPPING and epoch.epoch > entry.epoch:
        lifecycle.overrule(entry, TrialPhase.RUNNING)  # it was not stopped: the sweep had other limits then
    result = TrialResult(epoch.epoch, epoch.metrics, epoch.tags, epoch.summary, ends=epoch.ended)
    lifecycle.take_result(sweep, entry, result, time_ms)


def _pause(sweep: RunningSweep, entry: TrialEntry) -> None:
    lifecycle.overrule(entry, TrialPhase.PAUSING)
    lifecycle.pause(sweep, entry)


def _end(sweep: RunningSweep, entry: TrialEntry, ended: TrialEnded) -> None:
    if ended.state is TrialState.STOPPED:
        return
    entry.summary.update(ended.metrics)
    entry.tags.update(ended.tags)
    lifecycle.end(sweep, entry, Ending(ended.state, ended.stop_reason))
