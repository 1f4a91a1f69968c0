"""Repairs the journal of a sweep: from MLflow, and from what follows from the rest of it.

What can be had from neither ends its trial alone, as failed; a trial of which not even the settings are known runs
again from its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from sweeps.errors import SpecError
from sweeps.running.build import build_sweep
from sweeps.running.lifecycle import find_change
from sweeps.running.live import add_to_log
from sweeps.running.replay import DeafRecorder, drop_retried, replay
from sweeps.running.sweep import RunningSweep
from sweeps.space.arms import searched
from sweeps.spec import SweepSpec, load_recorded_text
from sweeps.spec.arms import build_arms
from sweeps.stopping.rules import RULES
from sweeps.trials.ledger import TrialEntry, TrialPhase
from tracking import names
from tracking.names import TrialState
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    JournalRepaired,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialPaused,
    TrialResumed,
)
from tracking.recording.journal import Journal
from tracking.recording.rebuild import Place, Rebuilt, name_lost, rebuild
from tracking.recording.recovery import load_events

if TYPE_CHECKING:
    from sweeps.home import SweepFolder
    from tracking.recording.recorder import Recorder


def open_journal(folder: SweepFolder, tracking_uri: str) -> Journal:
    """A sweep's journal, held by this process from now on, repaired where it was damaged.

    Raises:
        JournalBusy: When another process holds it.
        OSError: When it cannot be opened, locked or written.
        TrackingUnavailable: When it is damaged, and MLflow cannot be read.
    """
    journal = Journal(folder.journal)
    try:
        repair_journal(journal, folder, tracking_uri)
    except BaseException:
        journal.close()
        raise
    return journal


def repair_journal(journal: Journal, folder: SweepFolder, tracking_uri: str) -> str:
    """Repairs a journal that is damaged; the damaged one is kept beside it.

    Args:
        journal: Held by this process.
        folder: The sweep's.
        tracking_uri: MLflow.

    Returns:
        One sentence on what was done, which the journal keeps too; "" for a journal that is whole.

    Raises:
        TrackingUnavailable: When MLflow cannot be read.
        OSError: When the journal cannot be written.
    """
    if not journal.is_damaged:
        return ""
    lost = journal.holes
    found = load_events(tracking_uri, folder.path.name, folder.path)
    spec = _read_spec((*journal.events, *found), folder)
    if not any(isinstance(event.what, SweepStarted) for event in (*journal.events, *found)):
        found = (*_begin(journal, folder, spec), *found)
    rebuilt = rebuild(journal.events, lost, found)
    if spec is not None:
        _replay(rebuilt, spec, folder)
    rebuilt.give_up_unsure()
    for trial_id in rebuilt.given_up if spec is not None and not _changes_weights(spec) else ():
        folder.drop_checkpoints(trial_id)  # with `--failed` it runs again from its beginning
    sentence = _describe(rebuilt, lost, journal.find_copy().name)
    events = [(time_ms, what) for _, time_ms, what in rebuilt.in_order()]
    last_ms = events[-1][0] if events else 0
    for trial_id in rebuilt.given_up:
        add_to_log(folder.trial_log(trial_id), f"{sentence}\n")
    trials = rebuilt.list_lost()
    journal.rewrite([*events, (last_ms, JournalRepaired(sentence, trials))] if events else [])
    return sentence if events else ""


def _read_spec(events: Iterable[Event], folder: SweepFolder) -> SweepSpec | None:
    """What the sweep ran; None where neither its journal nor its folder says."""
    told = [event.what.record.resolved for event in events if isinstance(event.what, SweepStarted)]
    text = next((each for each in reversed(told) if each), "")
    with suppress(SpecError, OSError):
        return load_recorded_text(text or folder.resolved_file.read_text("utf-8"), folder.resolved_file.name)
    return None


def _begin(journal: Journal, folder: SweepFolder, spec: SweepSpec | None) -> tuple[Event, ...]:
    """The start of a sweep that MLflow has never heard of, as its folder tells it."""
    if spec is None or not journal.events:
        return ()
    arms = build_arms(spec)
    manifest = _read_manifest(folder)
    record = SweepRecord(
        sweep_id=folder.path.name,
        name=spec.name,
        project=spec.project,
        description=spec.description,
        sweep_file=folder.sweep_file.read_text("utf-8") if folder.sweep_file.exists() else "",
        resolved=folder.resolved_file.read_text("utf-8"),
        manifest=manifest,
        tags={names.SWEEP_METHOD: spec.method, names.SWEEP_DATASET: str(manifest.get("data", {}).get("name", ""))},
        goal_metric=spec.metric.name,
        goal=spec.metric.goal,
        compare=", ".join(spec.compare) or None,
        arms=tuple(arm.name for arm in arms),
        searched=tuple(dict.fromkeys(name for arm in arms for name in searched(arm))),
    )
    return (Event(0, journal.events[0].time_ms, SweepStarted(record)),)


def _read_manifest(folder: SweepFolder) -> dict[str, Any]:
    try:
        manifest = json.loads(folder.manifest.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _replay(rebuilt: Rebuilt, spec: SweepSpec, folder: SweepFolder) -> None:
    """Goes through what was put together: adds pauses by the rules, and ends trials that contradict themselves."""
    while _mend(rebuilt, sweep := build_sweep(spec, folder, cast("Recorder", DeafRecorder()))):
        continue
    if _changes_weights(sweep.spec):
        return  # others may go on with its weights
    told = {trial_id: events[-1][0] for trial_id, events in rebuilt.by_trial().items()}
    for entry in sweep.ledger.running():
        if entry.active and rebuilt.slots and rebuilt.slots[-1] > told[entry.trial_id]:
            folder.drop_checkpoints(entry.trial_id)  # which may know an epoch that is lost


def _mend(rebuilt: Rebuilt, sweep: RunningSweep) -> bool:
    """Mends what does not follow from what was before; whether all has to be gone through again."""
    places: dict[str, tuple[Place, int]] = {}  # the last event of each trial
    events = rebuilt.in_order()
    told = [Event(number, time_ms, what) for number, (_, time_ms, what) in enumerate(events)]
    kept = {event.sequence for event in drop_retried(told)}
    for place, time_ms, what in (event for number, event in enumerate(events) if number in kept):
        entry = sweep.ledger.entries.get(what.trial_id)
        if isinstance(what, TrialResumed) and place in rebuilt.resumed and entry is not None:
            what = TrialResumed(what.trial_id, find_change(sweep, entry))
            rebuilt.change(place, what)
        for missing in _find_pauses(entry, what) if entry is not None else ():
            last_place, last_ms = places[what.trial_id]
            put = rebuilt.put(missing, last_ms, last_place, place)
            if isinstance(missing, TrialResumed):
                rebuilt.resumed.append(put)
                if _changes_weights(sweep.spec):
                    return True
            places[what.trial_id] = put, last_ms
            replay(sweep, (Event(0, last_ms, missing),))
        try:
            replay(sweep, (Event(0, time_ms, what),))
        except (KeyError, ValueError):
            rebuilt.give_up(what.trial_id, place, "what is left of this trial contradicts itself")
            return True
        places[what.trial_id] = place, time_ms
    return False


def _find_pauses(entry: TrialEntry, what: Happening) -> Iterator[Happening]:
    """Yields what must have happened to a trial that was told to pause, before something else does."""
    goes_on = isinstance(what, EpochRecorded) and what.epoch > entry.epoch
    is_ended = isinstance(what, TrialEnded) and what.state is TrialState.EARLY_STOPPED
    if entry.phase is TrialPhase.PAUSING and (goes_on or is_ended):
        yield TrialPaused(entry.trial_id)
    if entry.phase is TrialPhase.PAUSED and goes_on:
        yield TrialResumed(entry.trial_id, {})


def _changes_weights(spec: SweepSpec) -> bool:
    """Whether trials go on with the weights of others."""
    rule = spec.early_terminate
    return rule is not None and RULES[rule.type].changes_settings


def _describe(rebuilt: Rebuilt, lost: tuple[int, ...], copy: str) -> str:
    """One sentence."""
    what = f"events {name_lost(lost)} could not be read" if lost else "its lines were not in order"
    done = [f"{rebuilt.num_found} were put back from MLflow"] if rebuilt.num_found else []
    done += [f"{', '.join(rebuilt.given_up)} failed, since a part of it is lost"] if rebuilt.given_up else []
    done += [f"{', '.join(rebuilt.lacking)} may lack an epoch"] if rebuilt.lacking else []
    done += [f"{', '.join(rebuilt.repeated)} runs again from its beginning"] if rebuilt.repeated else []
    if not rebuilt.list_lost():
        done.append("no trial is lost")
    return f"The journal was damaged ({what}): {'; '.join(done)}. The damaged one is kept as {copy}."
