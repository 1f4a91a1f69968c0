"""Lets a paused trial go on with the weights and the changed settings of another, where its arm's rule says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweeps.running.sweep import RunningSweep
from sweeps.space.constraints import fulfils, parse_constraint
from sweeps.space.distributions import Distribution
from sweeps.space.parameters import Choices, Parameter
from sweeps.spec.arms import build_arms
from sweeps.stopping.pbt import Pbt, mutate
from sweeps.trials.ledger import TrialEntry
from sweeps.trials.seeds import derive_seed
from tracking.names import (
    STAGE_SEARCH,
    TRIAL_LINEAGE,
    TrialState,
)
from tracking.recording.events import TrialRecord
from trainer.config import ConfigError, Value, build_trial_config

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep
    from sweeps.trials.ledger import TrialEntry


def go_on(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Ends a trial's pause, and notes it in the journal; changes its settings if it becomes a copy of another."""
    change = _find_change(sweep, entry)
    sweep.recorder.go_on_trial(entry.trial_id, change)
    take_change(entry, change)


def take_change(entry: TrialEntry, change: Mapping[str, Any]) -> None:
    """Ends a trial's pause as the journal has it.

    Args:
        entry: The trial.
        change: Empty for a trial that goes on as it was; else its donor's id, and its new parameters.
    """
    entry.paused = entry.pausing = False
    if not change:
        return
    entry.first_parameters = entry.first_parameters or entry.parameters
    entry.parameters = change["parameters"]
    entry.donor_id, entry.donor_epoch = change["donor_id"], entry.epoch
    known = entry.marks.get(TRIAL_LINEAGE)
    entry.marks[TRIAL_LINEAGE] = f"{f'{known}, ' if known else ''}{entry.donor_id} after epoch {entry.epoch}"


def _find_change(sweep: RunningSweep, entry: TrialEntry) -> dict[str, Any]:
    """What `take_change` takes."""
    section = sweep.spec.early_terminate
    number = sweep.rules[entry.arm].find_donor(entry.number, entry.epoch)
    if number is None or not isinstance(section, Pbt):
        return {}
    donor = next(each for each in sweep.ledger.select(entry.arm, STAGE_SEARCH) if each.number == number)
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
    space = dict(_list_chosen(arm.parameters, donor.parameters))
    seed = derive_seed(sweep.spec.seed, "pbt", entry.trial_id, entry.epoch)
    changed = mutate(section, space, donor.parameters, seed, is_legal)
    return {"donor_id": donor.trial_id, "parameters": {**changed, "seed": entry.seed}}


def _list_chosen(space: Mapping[str, Parameter], values: Mapping[str, Value]) -> Iterator[tuple[str, Distribution]]:
    """The distributions of an arm's parameters, of choices those of the branch that was taken."""
    for name, parameter in space.items():
        if isinstance(parameter, Choices):
            yield from _list_chosen(parameter.choices.get(str(values.get(name)), {}), values)
        else:
            yield name, parameter


def open_trial(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Opens a trial's run under this driver, once."""
    if not entry.started:
        entry.started = True
        sweep.recorder.start_trial(
            TrialRecord(
                entry.trial_id,
                entry.number,
                entry.arm,
                entry.stage,
                entry.seed,
                entry.first_parameters or entry.parameters,
            )
        )
        sweep.notify(entry, "started")


def close_trial(sweep: RunningSweep, entry: TrialEntry) -> None:
    """Records a trial's end."""
    assert entry.state is not None
    sweep.recorder.end_trial(entry.trial_id, entry.state, entry.stop_reason, entry.summary, entry.marks)
    sweep.notify(entry, "ended")


def close_unfinished(sweep: RunningSweep, reason: str) -> None:
    """Closes what still ran when the sweep ended: Tune ends such trials without telling anyone."""
    for entry in sweep.ledger.running():
        sweep.ledger.end(entry.trial_id, TrialState.STOPPED, reason)
        if entry.started:
            close_trial(sweep, entry)
