"""A sweep that runs, made of its spec, before anything has happened in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeps.running.sweep import RunningSweep
from sweeps.spec.arms import build_arms, constant_of, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking.ranking import Goal

if TYPE_CHECKING:
    from sweeps.home import SweepFolder
    from sweeps.spec import SweepSpec
    from tracking.recording.recorder import Recorder


def build_sweep(spec: SweepSpec, folder: SweepFolder, recorder: Recorder, **others: Any) -> RunningSweep:
    """The sweep of a folder.

    Args:
        spec: What it runs.
        folder: Its files.
        recorder: What it tells of itself to.
        others: Further attributes.
    """
    arms = build_arms(spec)
    names, num_trials = tuple(arm.name for arm in arms), num_search_trials(spec, arms)
    num_epochs = int(constant_of(spec, "epochs")) if spec.early_terminate is not None else 0
    return RunningSweep(
        sweep_id=folder.path.name,
        spec=spec,
        ledger=Ledger(Goal(spec.metric.goal), names),
        rules=ArmRules(names, spec.early_terminate, num_epochs, num_trials, spec.seed),
        recorder=recorder,
        folder=folder,
        num_trials=num_trials,
        **others,
    )
