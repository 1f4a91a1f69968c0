"""What an earlier driver of a sweep knew, from the journal that it wrote: how a sweep is resumed.

The journal is written before anything takes effect, one event at a time, and is the only state of a sweep that outlives
its driver: what one file says cannot disagree with another. (Tune's own snapshot is several files, written one after
another every ten seconds: a driver killed in between comes back with trials that only some of them know.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any, cast

from sweeps.running import lifecycle
from sweeps.running.lifecycle import Ending, TrialResult
from sweeps.trials.ledger import TrialEntry, TrialPhase
from tracking.names import CHOSEN_BY, TrialState
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


def find_failed(events: Iterable[Event]) -> frozenset[str]:
    """Trials that failed and may run again: those whose arm's best have not been chosen, and retrainings."""
    failed: dict[str, bool] = {}  # trial -> whether its last end was a failure
    trials: dict[str, TrialRecord] = {}
    for event in events:
        match event.what:
            case TrialStarted(record):
                trials[record.trial_id] = record
                failed[record.trial_id] = False
            case TrialEnded(trial_id, state):
                failed[trial_id] = state is TrialState.FAILED
    begun = {(record.arm, record.stage) for record in trials.values()}
    return frozenset(
        trial_id
        for trial_id, record in trials.items()
        if failed[trial_id] and not any((record.arm, later) in begun for later in CHOSEN_BY.get(record.stage, ()))
    )


def drop_retried(events: Sequence[Event], again: Set[str] = frozenset()) -> Iterator[Event]:
    """Yields the events without the failures after which a trial was started once more, or is to be."""
    last_starts = {
        event.what.record.trial_id: event.sequence for event in events if isinstance(event.what, TrialStarted)
    }
    for event in events:
        if isinstance(event.what, TrialEnded) and event.what.state is TrialState.FAILED:
            trial_id = event.what.trial_id
            if trial_id in again or last_starts.get(trial_id, 0) > event.sequence:
                continue
        yield event


def replay(sweep: RunningSweep, events: Sequence[Event], again: Set[str] = frozenset()) -> None:
    """Brings a new sweep's ledger, rules and time to where the journal's events leave them.

    A trial that was stopped because its sweep ended counts as unfinished: it goes on. Failures in a row count from 0,
    since whoever resumes a sweep that they ended has looked into them. A trial that failed and was started once more
    goes on as well.

    Args:
        sweep: Nothing has run under it.
        events: Of the same sweep, in order.
        again: Trials that failed and are to run again.
    """
    recorder, listeners = sweep.recorder, sweep.listeners
    sweep.recorder, sweep.listeners = cast("Recorder", DeafRecorder()), []
    for event in drop_retried(events, again):
        _replay_event(sweep, event)
    sweep.recorder, sweep.listeners = recorder, listeners
    sweep.opened.clear()
    sweep.ledger.reset_failures()


def describe_found(sweep: RunningSweep, again: Set[str], num_pending: int) -> str:
    """One sentence on what a driver found of those before it.

    Args:
        sweep: After `replay`.
        again: Trials that failed and are to run again.
        num_pending: Events that MLflow has not got yet.
    """
    entries = sweep.ledger.entries.values()
    unfinished = {entry.trial_id for entry in entries if not entry.ended}
    kept = {trial_id for trial_id in unfinished - again if sweep.folder.checkpoints(trial_id)}
    num_ended = len(entries) - len(unfinished)
    counts = [
        f"{count} {words[count != 1]}"
        for count, words in (
            (num_ended, ("trial has ended", "trials have ended")),
            (len(kept), ("goes on from its last checkpoint", "go on from their last checkpoints")),
            (len(unfinished - kept - again), ("begins anew", "begin anew")),
            (len(again), ("failed and runs again", "failed and run again")),
        )
        if count or words[0] == "trial has ended"
    ]
    num_events = len(sweep.recorder.past)
    delivered = (
        f"{num_pending} of {num_events} events are sent to MLflow now" if num_pending else "MLflow has all events"
    )
    return f"found: {', '.join(counts)}; {delivered}"


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
