"""How a sweep is kept in MLflow: its experiment, its artifacts and its runs."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tracking.store.connection import sqlite_path

EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's UI opens on runs, not on chat traces

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def search_runs(client: MlflowClient, experiment_ids: Sequence[str], filter_string: str) -> Iterable[Run]:
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
