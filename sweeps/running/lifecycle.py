"""The life of a trial: the only place that changes a trial's state, whether a driver runs it or a journal is replayed.

Ray's scheduler, searcher and callback translate Ray's words into these calls and carry out what they return. `replay`
reads a journal through the same calls, with a recorder that records nothing. So a resumed sweep stands where the
driver that was lost stood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeps.running.budgets import find_shortfall
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.space.constraints import fulfils, parse_constraint
from sweeps.space.parameters import Choices, walk
from sweeps.spec.arms import build_arms
from sweeps.stopping.rules import RULES
from sweeps.trials.course import follow_on
from sweeps.trials.ledger import TrialEntry, TrialPhase
from sweeps.trials.seeds import derive_seed
from tracking.names import (
    LOST,
    STAGE_SEARCH,
    TRAIN_SECONDS,
    TRIAL_COURSE,
    TRIAL_LINEAGE,
    VALIDATION_SECONDS,
    TrialState,
)
from tracking.recording.events import TrialRecord
from trainer.config import ConfigError, Value, build_trial_config

if TYPE_CHECKING:
    from sweeps.stopping.rule import Rule


@dataclass(frozen=True)
class TrialResult:
    """What one epoch of a trial came to.

    Attributes:
        epoch: Counts from 1.
        metrics: Of the epoch, by name; those of a trial that failed are empty.
        tags: Words for the trial's tags, by their names.
        summary: Metrics of the whole trial, such as the test accuracy.
        ends: Whether the trial ended by itself with this epoch.
    """

    epoch: int
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)
    ends: bool = False


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        state: Its last.
        reason: Why it ended, in words.
        error: The traceback of a failed one.
    """

    state: TrialState
    reason: str
    error: str = ""


def propose(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Takes a new trial into the ledger. It is in the journal once it starts."""
    sweep.ledger.add(entry)


def start(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Notes that a trial's process starts, and opens its run once under this driver."""
    if entry.phase is TrialPhase.PROPOSED:
        entry.move_to(TrialPhase.RUNNING)
    open_run(sweep, entry)


def open_run(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Opens a trial's run, unless this driver has done so before."""
    if entry.trial_id in sweep.opened:
        return
    sweep.opened.add(entry.trial_id)
    parameters = entry.first_parameters or entry.parameters
    sweep.recorder.start_trial(
        TrialRecord(entry.trial_id, entry.number, entry.arm, entry.stage, entry.seed, parameters)
    )
    sweep.notify(entry, TrialEvent.STARTED)


def take_result(sweep: RunningSweep, entry: TrialEntry, result: TrialResult, now_ms: int) -> bool:
    """Records an epoch and decides what becomes of the trial; whether its process trains on.

    An epoch that is already known changes nothing: a process that goes on from an older checkpoint reports it again.

    Args:
        sweep: Whose trial it is.
        entry: The trial.
        result: Of the epoch.
        now_ms: When it came, in milliseconds since 1970.
    """
    if entry.ended:
        return False
    entry.tags.update(result.tags)
    entry.summary.update(result.summary)
    score = result.metrics.get(sweep.spec.metric.name)
    if score is None:
        return False
    if result.epoch > entry.epoch + 1:  # its checkpoint knows more than the journal, which was damaged
        end(sweep, entry, Ending(TrialState.FAILED, f"{LOST}: epoch {entry.epoch + 1} of this trial is lost"))
        return False
    seconds = result.metrics[TRAIN_SECONDS] + result.metrics[VALIDATION_SECONDS]
    if not sweep.ledger.record_epoch(entry.trial_id, result.epoch, score, seconds, result.metrics):
        return result.epoch < entry.epoch or entry.phase is TrialPhase.RUNNING
    if entry.phase is TrialPhase.RUNNING and entry.stage == STAGE_SEARCH and not result.ends:
        _decide(sweep, entry, score, now_ms)
    told = entry.phase is not TrialPhase.RUNNING  # a later driver that closes it has not seen its results
    sweep.recorder.record_epoch(
        entry.trial_id,
        result.epoch,
        result.metrics,
        ended=result.ends,
        tags=entry.tags if told else None,
        summary=entry.summary if told else None,
        time_ms=now_ms,
    )
    sweep.notify(entry, TrialEvent.EPOCH)
    return entry.phase is TrialPhase.RUNNING


def _decide(sweep: RunningSweep, entry: TrialEntry, score: float, now_ms: int) -> None:
    """Asks the arm's rule, then the limits, whether a search trial trains on."""
    sign = sweep.goal.sign
    decision = sweep.rules[entry.arm].judge(entry.number, entry.epoch, sign * score, sign * entry.best_score)
    reason = decision.reason if decision.action == "stop" else _find_limit(sweep, entry, now_ms)
    if reason:
        entry.stop_reason = reason
        entry.move_to(TrialPhase.STOPPING)
    elif decision.action == "pause":
        entry.move_to(TrialPhase.PAUSING)


def _find_limit(sweep: RunningSweep, entry: TrialEntry, now_ms: int) -> str:
    """Why a trial stops whatever its rule says; "" if it does not."""
    if shortfall := find_shortfall(sweep.spec, entry.epoch, entry.best_score):
        return shortfall
    hours = sweep.spec.budget.trial_hours
    if hours is not None and entry.train_seconds >= 3600 * hours:
        return "budget: trial_hours"
    return sweep.search_end(entry.arm, now_ms)


def pause(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Notes that the process of a trial that pauses has let go of it, its state on the disk."""
    sweep.recorder.pause_trial(entry.trial_id)
    sweep.ledger.pause(entry)
    sweep.notify(entry, TrialEvent.PAUSED)


def overrule(entry: TrialEntry, phase: TrialPhase) -> None:
    """Follows the journal: it shows what became of a trial, whatever today's limits make of its last result."""
    entry.phase, entry.stop_reason = phase, ""


def resume(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Ends a trial's pause, as its arm's rule has decided; changes its settings if it becomes a copy of another."""
    take_change(sweep, entry, find_change(sweep, entry))


def take_change(sweep: RunningSweep, entry: TrialEntry, change: Mapping[str, Any]) -> None:
    """Ends a trial's pause.

    Args:
        sweep: Whose trial it is.
        entry: The trial.
        change: Empty for a trial that goes on as it was; else its donor's id, and its new parameters.
    """
    sweep.recorder.go_on_trial(entry.trial_id, change)
    sweep.rules[entry.arm].promote(entry.number)
    sweep.ledger.go_on(entry)
    if not change:
        return
    entry.first_parameters = entry.first_parameters or entry.parameters
    donor = sweep.ledger.entries[change["donor_id"]]
    entry.course = follow_on(donor, entry.epoch, change["parameters"])
    entry.tags[TRIAL_COURSE] = json.dumps({"since": entry.epoch, "settings": entry.course})
    sweep.ledger.give_up(entry)
    entry.parameters = change["parameters"]
    entry.donor_id, entry.donor_epoch = change["donor_id"], entry.epoch
    known = entry.tags.get(TRIAL_LINEAGE)
    entry.tags[TRIAL_LINEAGE] = f"{f'{known}, ' if known else ''}{entry.donor_id} after epoch {entry.epoch}"


def end(sweep: RunningSweep, entry: TrialEntry, ending: Ending) -> None:
    """Notes how a trial ended: in the journal, the ledger and its arm's rule. A second end changes nothing."""
    if entry.ended:
        return
    open_run(sweep, entry)  # of one that waited, or was to be stopped, since before a resume
    sweep.recorder.end_trial(entry.trial_id, ending.state, ending.reason, entry.summary, entry.tags)
    sweep.ledger.end(entry.trial_id, ending.state, ending.reason, ending.error)
    if entry.stage == STAGE_SEARCH:
        rule: Rule = sweep.rules[entry.arm]
        sign = sweep.goal.sign
        rule.settle(entry.number, entry.epoch, ending.state, sign * entry.last_score, sign * entry.best_score)
    sweep.notify(entry, TrialEvent.ENDED)


def let_go(sweep: RunningSweep, entry: TrialEntry, own_end: Ending | None) -> None:
    """Notes that the process of a trial has let go of it: the trial has ended, or pauses.

    Args:
        sweep: Whose trial it is.
        entry: The trial.
        own_end: How it ended by itself; None for one that was told to stop or to pause.
    """
    if own_end is not None:
        end(sweep, entry, own_end)
    elif entry.phase is TrialPhase.PAUSING:
        pause(sweep, entry)
    elif entry.phase is TrialPhase.STOPPING:
        end(sweep, entry, Ending(TrialState.EARLY_STOPPED, entry.stop_reason))
    else:
        end(sweep, entry, Ending(TrialState.STOPPED, "stopped before its end"))


def lose(sweep: RunningSweep, entry: TrialEntry, reason: str, error: str = "") -> None:
    """Notes that a trial's process was lost for good.

    Args:
        sweep: Whose trial it is.
        entry: The trial.
        reason: In words.
        error: What Ray said, whole.
    """
    end(sweep, entry, Ending(TrialState.FAILED, reason, error))


def end_told(sweep: RunningSweep) -> None:
    """Ends the trials that an earlier driver of the sweep had told to stop when it was lost."""
    for entry in sweep.ledger.running():
        if entry.phase is TrialPhase.STOPPING:
            end(sweep, entry, Ending(TrialState.EARLY_STOPPED, entry.stop_reason))


def end_paused(sweep: RunningSweep, arm: str) -> None:
    """Ends an arm's trials that have waited in vain, now that no more can come to let them go on."""
    for entry in list(sweep.ledger.select(arm, STAGE_SEARCH)):
        if entry.phase is TrialPhase.PAUSED:
            reason = sweep.search_end(arm) or sweep.rules[arm].explain_pause(entry.number)
            end(sweep, entry, Ending(TrialState.EARLY_STOPPED, reason))


def close_unfinished(sweep: RunningSweep, reason: str) -> None:
    """Ends what still ran when the sweep ended: Tune ends such trials without telling anyone."""
    for entry in sweep.ledger.running():
        if entry.trial_id in sweep.opened:
            end(sweep, entry, Ending(TrialState.STOPPED, reason))
        else:
            sweep.ledger.end(entry.trial_id, TrialState.STOPPED, reason)


def find_change(sweep: RunningSweep, entry: TrialEntry) -> dict[str, Any]:
    """What `take_change` takes."""
    section = sweep.spec.early_terminate
    number = sweep.rules[entry.arm].find_donor(entry.number, entry.epoch)
    mutate = None if section is None else RULES[section.type].mutate
    if number is None or mutate is None:
        return {}
    donor = sweep.ledger.find(entry.arm, number)
    assert donor is not None
    constraints = tuple(map(parse_constraint, sweep.spec.constraints))

    def is_legal(parameters: Mapping[str, Value]) -> bool:
        if not fulfils(parameters, constraints):
            return False
        try:
            build_trial_config(parameters)
        except ConfigError:
            return False
        return True

    arm = next(arm for arm in build_arms(sweep.spec) if arm.name == entry.arm)
    walked = walk(arm.parameters, donor.parameters)
    space = {path[-1]: parameter for path, parameter in walked if not isinstance(parameter, Choices)}
    seed = derive_seed(sweep.spec.seed, "pbt", entry.trial_id, entry.epoch)
    changed = mutate(section, space, donor.parameters, seed, is_legal)
    return {"donor_id": donor.trial_id, "parameters": {**changed, "seed": entry.seed}}
