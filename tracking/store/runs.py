"""How a sweep is kept in MLflow: its experiment, its artifacts and its runs."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracking import names
from tracking.store.connection import sqlite_path

EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's UI opens on runs, not on chat traces

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def search_sweep(client: MlflowClient, experiment_ids: Sequence[str], sweep_id: str) -> Iterable[Run]:
    """All runs of a sweep, deleted ones too, oldest first.

    Raises:
        ValueError: What is given is not the id of a sweep. MLflow's filters have no way to write a quote.
    """
    if not names.is_sweep_id(sweep_id):
        raise ValueError(f"{sweep_id!r} is not the id of a sweep: letters, digits, dots, hyphens and underscores")
    return _search_runs(client, experiment_ids, f"tags.`{names.SWEEP_ID}` = '{sweep_id}'")


def _search_runs(client: MlflowClient, experiment_ids: Sequence[str], filter_string: str) -> Iterable[Run]:
    """All runs that fit, deleted ones too, oldest first, page by page."""
    from mlflow.entities import ViewType

    token: str | None = None
    while True:
        page = client.search_runs(
            list(experiment_ids),
            filter_string,
            run_view_type=ViewType.ALL,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


@dataclass(frozen=True)
class Family:
    """The runs of a sweep, deleted ones too."""

    parent: Run | None
    children: tuple[Run, ...]


class SweepDeleted(RuntimeError):
    """Somebody has deleted a sweep's run, or its experiment, in MLflow; the message says how to restore it."""


def find_family(client: MlflowClient, sweep_id: str) -> Family:
    """The runs of a sweep, by its id: its experiment may have been renamed, or deleted."""
    from mlflow.entities import ViewType

    experiments: list[str] = []
    token: str | None = None
    while True:
        page = client.search_experiments(view_type=ViewType.ALL, page_token=token)
        experiments += [experiment.experiment_id for experiment in page]
        token = page.token
        if not token:
            break
    found = list(search_sweep(client, experiments, sweep_id))
    children = tuple(run for run in found if names.TRIAL_ID in run.data.tags)
    parents = [run for run in found if names.TRIAL_ID not in run.data.tags]
    parents.sort(key=lambda run: run.info.lifecycle_stage != "active")  # a run that was deleted may have a successor
    return Family(parents[0] if parents else None, children)


def check_not_deleted(client: MlflowClient, parent: Run, sweep_id: str) -> None:
    """Returns when a sweep's run can be written.

    Raises:
        SweepDeleted: When it, or its experiment, was deleted.
    """
    if parent.info.lifecycle_stage != "active":
        command = f"mlflow runs restore --run-id {parent.info.run_id}"
        raise SweepDeleted(f"{sweep_id}: its run was deleted in MLflow; restore it there, or with `{command}`")
    experiment = client.get_experiment(parent.info.experiment_id)
    if experiment.lifecycle_stage != "active":
        command = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise SweepDeleted(f"{sweep_id}: its experiment was deleted in MLflow; restore it there, or with `{command}`")


def default_artifact_root(tracking_uri: str, journal_path: Path) -> Path | None:
    """Where artifacts go when nobody said: None for a server, which decides itself; else beside the results."""
    if tracking_uri.startswith(("http://", "https://")):
        return None
    database = sqlite_path(tracking_uri)
    return (database.parent if database else journal_path.absolute().parent.parent) / "artifacts"


def find_or_create_experiment(client: MlflowClient, project: str, artifact_root: Path | None) -> str:
    """Returns the id of the experiment named `project`; a new one keeps its artifacts in `artifact_root`."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(project)
    if experiment is None:
        location = None if artifact_root is None else artifact_root.absolute().as_uri()
        try:
            return str(client.create_experiment(project, artifact_location=location, tags=EXPERIMENT_TAGS))
        except MlflowException as error:
            experiment = client.get_experiment_by_name(project)  # another sweep of the project was first
            if experiment is None:
                raise error from None
    if experiment.lifecycle_stage != "active":
        raise RuntimeError(
            f"the experiment {project!r} is deleted in MLflow: restore it there, or choose another `project`"
        )
    return str(experiment.experiment_id)


def build_user_tag() -> dict[str, str]:
    """The tag that fills MLflow's column "Created by"."""
    try:
        return {"mlflow.user": getpass.getuser()}
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return {}
