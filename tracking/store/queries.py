"""All reads of MLflow."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from tracking import names
from tracking.names import TrialState
from tracking.ranking import Goal
from tracking.store.connection import (
    TrackingUnavailable,
    describe,
    find_remedy,
    hide_password,
    open_client,
    short_retries,
)
from tracking.store.histories import load_histories
from tracking.store.links import build_link, find_address
from tracking.store.runs import SweepDeleted, check_not_deleted, find_family
from tracking.store.tags import join_tags
from tracking.table import Confirmation, Points, SweepTable, TrialRow, parse_value

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = [
    "ArmStatus",
    "SweepNotFound",
    "SweepStatus",
    "SweepSummary",
    "ask",
    "find_parent",
    "hide_password",
    "list_sweeps",
    "load_status",
    "load_sweep",
    "load_text",
]

NUM_SHOWN_WHEN_NOT_FOUND = 5

Result = TypeVar("Result")


class SweepNotFound(LookupError):
    """MLflow holds no sweep of that id; the message lists the latest ones."""


@dataclass(frozen=True)
class SweepSummary:
    """One line of the list of sweeps; times in UTC."""

    sweep_id: str
    name: str
    project: str
    state: str
    started: datetime
    ended: datetime | None


@dataclass(frozen=True)
class ArmStatus:
    """How an arm stands: search trials by state, retrainings, and the best value of the goal metric so far."""

    arm: str
    num_by_state: dict[str, int]
    num_retrained: int
    best_value: float | None


@dataclass(frozen=True)
class SweepStatus:
    """How a sweep stands.

    Attributes:
        state: running | completed | interrupted | failed.
        phase: What a running sweep's driver was asked to do last: "" | paused | stopping | cancelling.
        job: Submission id of the Ray job that drives it, "" for a sweep that was not submitted.
        seconds_since_heartbeat: Age of its driver's last sign of life, None when there was none.
    """

    sweep_id: str
    project: str
    state: str
    phase: str
    goal_metric: str
    arms: tuple[ArmStatus, ...]
    job: str
    seconds_since_heartbeat: float | None


def list_sweeps(tracking_uri: str, limit: int) -> tuple[SweepSummary, ...]:
    """The latest sweeps of all projects, latest first.

    Raises:
        TrackingUnavailable: When MLflow cannot be read.
    """
    return ask(tracking_uri, lambda client: _list_sweeps(client, limit))


def load_sweep(sweep_id: str, tracking_uri: str, folder: Path | None = None) -> SweepTable:
    """Everything recorded of one sweep.

    Args:
        sweep_id: The sweep.
        tracking_uri: MLflow.
        folder: Its results folder, whose sweep file and manifest take the place of MLflow's artifacts; None for
            a sweep that has none here.

    Raises:
        SweepNotFound: When there is none of that id.
        TrackingUnavailable: When MLflow cannot be read.
    """
    return ask(tracking_uri, lambda client: _load_sweep(client, sweep_id, folder))


def load_status(sweep_id: str, tracking_uri: str) -> SweepStatus:
    """How a sweep stands now; cheap enough to ask every few seconds.

    Raises:
        SweepNotFound: When there is none of that id.
        TrackingUnavailable: When MLflow cannot be read.
    """
    return ask(tracking_uri, lambda client: _load_status(client, sweep_id))


def load_text(sweep_id: str, tracking_uri: str, name: str, folder: Path | None = None) -> tuple[str, str]:
    """A file of a sweep, and "", or "" and one sentence on why it cannot be had.

    Args:
        sweep_id: The sweep.
        tracking_uri: MLflow.
        name: Of the file, such as `names.RESOLVED_ARTIFACT`.
        folder: The sweep's results folder, whose file takes the place of MLflow's artifact; None for no folder.

    Raises:
        SweepNotFound: When there is no sweep of that id.
        TrackingUnavailable: When MLflow cannot be read.
    """
    texts, missing = ask(
        tracking_uri, lambda client: _load_texts(client, find_parent(client, sweep_id), (name,), folder)
    )
    return texts[name], " ".join(missing)


def ask(tracking_uri: str, question: Callable[[MlflowClient], Result]) -> Result:
    """The answer of MLflow to a question.

    Raises:
        TrackingUnavailable: When it does not answer.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with short_retries():
            return question(open_client(tracking_uri))
    except (OSError, MlflowException, SQLAlchemyError) as error:
        fault = describe(error, tracking_uri)
        raise TrackingUnavailable(
            f"MLflow at {hide_password(tracking_uri)} cannot be read: {fault}. {find_remedy(tracking_uri, str(error))}"
        ) from error


def find_parent(client: MlflowClient, sweep_id: str) -> Run:
    """The run that stands for a sweep.

    Raises:
        SweepNotFound: When there is none.
    """
    return _find_family(client, sweep_id)[0]


def _find_family(client: MlflowClient, sweep_id: str) -> tuple[Run, list[Run], list[Run]]:
    """A sweep's run, those of its trials, and those of its trials that somebody has deleted."""
    family = find_family(client, sweep_id) if names.is_sweep_id(sweep_id) else None
    if family is None or family.parent is None:
        latest = ", ".join(sweep.sweep_id for sweep in _list_sweeps(client, NUM_SHOWN_WHEN_NOT_FOUND))
        where = hide_password(str(client.tracking_uri))
        raise SweepNotFound(f"{sweep_id}: no such sweep in MLflow at {where}; the latest: {latest or 'none'}")
    try:
        check_not_deleted(client, family.parent, sweep_id)
    except SweepDeleted as error:
        raise SweepNotFound(str(error)) from error
    by_state: dict[bool, list[Run]] = {True: [], False: []}
    for run in family.children:
        by_state[run.info.lifecycle_stage == "active"].append(run)
    return family.parent, by_state[True], by_state[False]


def _load_status(client: MlflowClient, sweep_id: str) -> SweepStatus:
    parent, children, _ = _find_family(client, sweep_id)
    tags = join_tags(parent.data.tags)
    metric, goal = tags[names.SWEEP_GOAL_METRIC], Goal(tags[names.SWEEP_GOAL])
    arms = []
    for arm in _read_list(tags, names.SWEEP_ARMS):
        runs = [run for run in children if run.data.tags[names.TRIAL_ARM] == arm]
        search = [run for run in runs if run.data.tags[names.TRIAL_STAGE] == names.STAGE_SEARCH]
        scores = [run.data.metrics.get(f"best_{metric}", run.data.metrics.get(metric, math.nan)) for run in search]
        scores = [score for score in scores if math.isfinite(score)]
        num_by_state = Counter(run.data.tags.get(names.TRIAL_STATE, names.STATE_RUNNING) for run in search)
        best = goal.best(scores) if scores else None
        arms.append(ArmStatus(arm, dict(num_by_state), len(runs) - len(search), best))
    heartbeat = tags.get(names.SWEEP_HEARTBEAT)
    return SweepStatus(
        sweep_id=sweep_id,
        project=client.get_experiment(parent.info.experiment_id).name,
        state=tags[names.SWEEP_STATE],
        phase=tags.get(names.SWEEP_PHASE, ""),
        goal_metric=metric,
        arms=tuple(arms),
        job=tags.get(names.SWEEP_JOB, ""),
        seconds_since_heartbeat=None if heartbeat is None else max(0.0, time.time() - float(heartbeat)),
    )


def _list_sweeps(client: MlflowClient, limit: int) -> tuple[SweepSummary, ...]:
    experiments = _all_experiments(client)
    if not experiments:
        return ()
    runs = client.search_runs(
        list(experiments),
        f"tags.`{names.SWEEP_STATE}` LIKE '%'",  # parents only
        max_results=limit,
        order_by=["attributes.start_time DESC"],
    )
    return tuple(_summarize(run, experiments[run.info.experiment_id]) for run in runs)


def _summarize(run: Run, project: str) -> SweepSummary:
    tags = join_tags(run.data.tags)
    return SweepSummary(
        sweep_id=tags[names.SWEEP_ID],
        name=tags.get(names.SWEEP_NAME, tags[names.SWEEP_ID]),
        project=project,
        state=tags[names.SWEEP_STATE],
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        ended=datetime.fromtimestamp(run.info.end_time / 1000, UTC) if run.info.status != "RUNNING" else None,
    )


def _load_sweep(client: MlflowClient, sweep_id: str, folder: Path | None) -> SweepTable:
    parent, children, deleted = _find_family(client, sweep_id)
    address = find_address(str(client.tracking_uri))
    histories = load_histories(client, {run.info.run_id: _list_metrics(run, of_health=False) for run in children})
    trials = (_build_row(run, histories[run.info.run_id], address) for run in children)
    artifacts, missing = _load_texts(client, parent, (names.SWEEP_FILE_ARTIFACT, names.MANIFEST_ARTIFACT), folder)
    tags = join_tags(parent.data.tags)
    arms = tuple(_read_list(tags, names.SWEEP_ARMS))
    table = SweepTable(
        sweep_id=sweep_id,
        name=tags[names.SWEEP_NAME],
        project=client.get_experiment(parent.info.experiment_id).name,
        state=tags[names.SWEEP_STATE],
        goal_metric=tags[names.SWEEP_GOAL_METRIC],
        goal=tags[names.SWEEP_GOAL],
        compare=tags[names.SWEEP_COMPARE] or None,
        arms=arms,
        searched=tuple(_read_list(tags, names.SWEEP_SEARCHED)),
        manifest=_read_manifest(artifacts[names.MANIFEST_ARTIFACT]),
        sweep_file=artifacts[names.SWEEP_FILE_ARTIFACT],
        trials=tuple(sorted(trials, key=lambda row: _order(row, arms))),
        notices=(*_read_list(tags, names.SWEEP_NOTICES), *missing, *_tell_of_deleted(deleted)),
        metrics=tuple((name, goal) for name, goal in _read_list(tags, names.SWEEP_METRICS)),
        seconds=_read_seconds(tags),
        confirmation=_read_confirmation(tags),
        link=build_link(address, parent.info.experiment_id, parent.info.run_id),
    )
    return replace(table, health=_load_health(client, table, children))


def _load_health(client: MlflowClient, table: SweepTable, runs: Sequence[Run]) -> dict[str, dict[str, Points]]:
    """The health of each arm's best search trial: of all trials it would be the larger part of all numbers."""
    best = {ranking[0].trial_id for arm in table.arms if (ranking := table.ranking(arm))}
    chosen = {run.info.run_id: run for run in runs if run.data.tags[names.TRIAL_ID] in best}
    found = load_histories(client, {id_: _list_metrics(run, of_health=True) for id_, run in chosen.items()})
    return {run.data.tags[names.TRIAL_ID]: found[id_] for id_, run in chosen.items()}


def _list_metrics(run: Run, *, of_health: bool) -> list[str]:
    return [key for key in run.data.metrics if key.startswith(names.HEALTH_PREFIX) is of_health]


def _read_confirmation(tags: Mapping[str, str]) -> Confirmation:
    """How the best are confirmed; as a sweep of before November 27, 2026 did where no tag says it.

    Raises:
        SweepNotFound: Somebody has changed the tag.
    """
    if names.SWEEP_CONFIRM not in tags:
        return Confirmation()
    try:
        found = json.loads(tags[names.SWEEP_CONFIRM])
        return Confirmation(
            int(found["seeds"]), bool(found["race"]), float(found["margin"]) / 100, int(found["extensions"])
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"{tags.get(names.SWEEP_ID)}: the tag {names.SWEEP_CONFIRM} of its run was changed in MLflow"
        raise SweepNotFound(f"{message}; put it back as it was") from error


def _read_seconds(tags: Mapping[str, str]) -> float | None:
    """How long a sweep has run; None of one that runs, or was recorded by a version that did not say."""
    is_known = names.SWEEP_SECONDS in tags and tags[names.SWEEP_STATE] != names.STATE_RUNNING
    return float(tags[names.SWEEP_SECONDS]) if is_known else None


def _read_list(tags: Mapping[str, str], name: str) -> list[Any]:
    """The list that a tag holds; an empty one for no such tag.

    Raises:
        SweepNotFound: Somebody has changed it, so that it is none.
    """
    try:
        found = json.loads(tags.get(name, "[]"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        message = f"{tags.get(names.SWEEP_ID)}: the tag {name} of its run was changed in MLflow and is no list any more"
        raise SweepNotFound(f"{message}; put it back as it was")
    return found


def _read_manifest(text: str) -> dict[str, object]:
    """The manifest; an empty one where the text is none."""
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _tell_of_deleted(runs: Sequence[Run]) -> list[str]:
    if not runs:
        return []
    trials = ", ".join(run.data.tags[names.TRIAL_ID] for run in runs)
    example = f"mlflow runs restore --run-id {runs[0].info.run_id}"
    return [f"Left out, since their runs were deleted in MLflow: {trials}. Restore them there, or with `{example}`."]


def _order(row: TrialRow, arms: Sequence[str]) -> tuple[int, int, int]:
    arm = arms.index(row.arm) if row.arm in arms else len(arms)
    stage = names.STAGES.index(row.stage) if row.stage in names.STAGES else len(names.STAGES)
    return (stage, arm, row.number)


def _build_row(run: Run, history: dict[str, Points], address: str) -> TrialRow:
    tags = join_tags(run.data.tags)
    state = tags.get(names.TRIAL_STATE, names.STATE_RUNNING)
    return TrialRow(
        trial_id=tags[names.TRIAL_ID],
        number=int(tags[names.TRIAL_NUMBER]),
        arm=tags[names.TRIAL_ARM],
        stage=tags[names.TRIAL_STAGE],
        state=None if state == names.STATE_RUNNING else TrialState(state),
        stop_reason=tags.get(names.TRIAL_STOP_REASON, ""),
        seed=int(tags[names.TRIAL_SEED]),
        parameters={name: parse_value(text) for name, text in run.data.params.items()},
        history=history,
        summary=dict(run.data.metrics),
        start_time=run.info.start_time / 1000 if run.info.start_time else None,
        end_time=run.info.end_time / 1000 if run.info.end_time and state != names.STATE_RUNNING else None,
        link=build_link(address, run.info.experiment_id, run.info.run_id),
        **_read_course(tags),
    )


def _read_course(tags: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a row, of a trial whose settings have changed."""
    if names.TRIAL_COURSE not in tags:
        return {}
    try:
        told = json.loads(tags[names.TRIAL_COURSE])
        return {"course": dict(told["settings"]), "since": int(told["since"])}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        message = f"{tags[names.TRIAL_ID]}: the tag {names.TRIAL_COURSE} of its run was changed in MLflow"
        raise SweepNotFound(f"{message}; put it back as it was") from error


def _load_texts(
    client: MlflowClient, run: Run, paths: Iterable[str], beside: Path | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The texts of files of the sweep's folder, or else of artifacts; "" where one cannot be had, with a notice."""
    texts, notices = {}, []
    with TemporaryDirectory() as folder:
        for path in paths:
            if beside is not None and (file := beside / path).is_file():
                texts[path] = file.read_text("utf-8", errors="replace")
                continue
            try:
                texts[path] = Path(client.download_artifacts(run.info.run_id, path, folder)).read_text("utf-8")
            except Exception as error:  # noqa: BLE001  # each artifact store raises errors of its own
                texts[path] = ""
                notices.append(f"{path} could not be read from MLflow's artifacts ({describe(error, '')}).")
    return texts, tuple(notices)


def _all_experiments(client: MlflowClient) -> dict[str, str]:
    """Experiment id -> name."""
    experiments: dict[str, str] = {}
    token: str | None = None
    while True:
        page = client.search_experiments(page_token=token)
        experiments |= {experiment.experiment_id: experiment.name for experiment in page}
        token = page.token
        if not token:
            return experiments
