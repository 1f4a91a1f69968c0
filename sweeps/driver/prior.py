"""Trials of earlier sweeps that the search of a new one learns from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from sweeps.errors import BadUsage
from sweeps.space.arms import Arm, contains, list_branch
from sweeps.space.distributions import Constant
from tracking.files import write_file
from tracking.names import STAGE_SEARCH, TrialState
from trainer.config import ConfigError, Value, build_trial_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sweeps.spec import SweepSpec
    from tracking.table import SweepTable

_OF_ONE_TRIAL = ("seed", "data_dir")  # in which a trial of another sweep may differ


@dataclass(frozen=True)
class PriorTrial:
    """A trial that ran to its end in an earlier sweep.

    Attributes:
        parameters: Those of the arm's space.
        score: Its best.
    """

    parameters: Mapping[str, Value]
    score: float


Prior = Mapping[str, tuple[PriorTrial, ...]]  # arm -> its trials, in the order in which they are learnt from


def load_prior(spec: SweepSpec, arms: tuple[Arm, ...], tracking_uri: str, file: Path) -> Prior:
    """What a sweep learns from before its first trial: read from MLflow once and kept, so that a resume has the same.

    Raises:
        BadUsage: There is no such sweep, or it was judged by another metric.
        TrackingUnavailable: When MLflow cannot be read.
    """
    if not spec.prior:
        return {}
    if file.exists():
        return _read(file)
    from tracking.store.queries import SweepNotFound, load_sweep

    tables = []
    for sweep_id in spec.prior:
        try:
            table = load_sweep(sweep_id, tracking_uri)
        except SweepNotFound as error:
            raise BadUsage(f"prior: {error}") from error
        if table.goal_metric != spec.metric.name:
            raise BadUsage(f"prior: {sweep_id} was judged by {table.goal_metric}, this sweep by {spec.metric.name}")
        tables.append(table)
    prior = {arm.name: find_fitting(arm, tables) for arm in arms}
    if not any(prior.values()):
        raise BadUsage(
            f"prior: none of the trials of {', '.join(spec.prior)} fits: they have parameters outside this sweep's "
            "space, or others where it has one value; widen the space, or remove prior"
        )
    content = {arm: [{**vars(trial), "parameters": dict(trial.parameters)} for trial in prior[arm]] for arm in prior}
    write_file(file, json.dumps(content, indent=2) + "\n")
    return prior


def digest_prior(file: Path) -> str:
    """SHA-256 of what was kept of earlier sweeps, in hexadecimal; "" where nothing was."""
    return sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def _read(file: Path) -> Prior:
    try:
        kept = json.loads(file.read_text("utf-8"))
        return {arm: tuple(PriorTrial(**trial) for trial in trials) for arm, trials in kept.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadUsage(f"{file}: it is damaged; put it back, or start a new sweep with the same file") from error


def find_fitting(arm: Arm, tables: Sequence[SweepTable]) -> tuple[PriorTrial, ...]:
    """The completed search trials that this arm could have proposed, each with its best score.

    A trial fits where all that the arm searches is in its range there, and everything else about the training is as
    here, but the seed and where the images lie.
    """
    found = []
    for table in tables:
        for trial in table.select(stage=STAGE_SEARCH):
            score = table.value(trial)
            if trial.state is TrialState.COMPLETED and score is not None:
                fitting = _fit(arm, trial.parameters)
                found += [] if fitting is None else [PriorTrial(fitting, score)]
    return tuple(found)


def _fit(arm: Arm, parameters: Mapping[str, Value]) -> dict[str, Value] | None:
    """The arm's own parameters of a trial; None where the arm could not have proposed it."""
    constants = {name: each.value for name, each in arm.parameters.items() if isinstance(each, Constant)}
    given = {**parameters, **{name: constants[name] for name in _OF_ONE_TRIAL if name in constants}}
    names = list_branch(arm, given)
    own = {name: given[name] for name in names if name in given}
    if len(own) < len(names) or not contains(arm, own):
        return None
    try:
        here, there = (build_trial_config(each).to_parameters() for each in (own, parameters))
    except ConfigError:
        return None
    differences = {name for name in {*here, *there} if here.get(name) != there.get(name)}
    return None if differences - set(_OF_ONE_TRIAL) else own
