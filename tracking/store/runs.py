"""How a sweep is kept in MLflow: its experiment, its artifacts and its runs."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracking import names
from tracking.store.connection import TrackingUnavailable, sqlite_path

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
    """The runs of a sweep, deleted ones too.

    Attributes:
        parent: The run that stands for the sweep; None where there is none.
        children: One run of each trial.
        doubles: Runs beside those, which were not deleted. A request whose answer is lost on the way is sent again, and
            MLflow then makes a second run.
    """

    parent: Run | None
    children: tuple[Run, ...]
    doubles: tuple[Run, ...] = ()


class SweepDeleted(RuntimeError):
    """Somebody has deleted a sweep's run, or its experiment, in MLflow; the message says how to restore it."""


def find_family(client: MlflowClient, sweep_id: str, known: Collection[str] = ()) -> Family:
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
    return sort_family(list(search_sweep(client, experiments, sweep_id)), known)


def sort_family(runs: Sequence[Run], known: Collection[str] = ()) -> Family:
    """Sorts the runs of a sweep.

    Args:
        runs: All of them, oldest first.
        known: The ids of those that are written to; they are no doubles.
    """
    num_children = Counter(run.data.tags.get(names.PARENT_RUN_ID, "") for run in runs)
    by_trial: dict[str, list[Run]] = {}
    for run in runs:
        by_trial.setdefault(run.data.tags.get(names.TRIAL_ID, ""), []).append(run)

    def rank(run: Run) -> tuple[bool, bool, int, int]:
        """The higher, the more there is to a run."""
        id_, data = run.info.run_id, run.data
        num_entries = len(data.metrics) + len(data.params) + len(data.tags)
        return run.info.lifecycle_stage == "active", id_ in known, num_children[id_], num_entries

    chosen = {trial_id: max(each, key=rank) for trial_id, each in by_trial.items()}
    ids = {run.info.run_id for run in chosen.values()}
    doubles = [run for run in runs if run.info.run_id not in ids and run.info.lifecycle_stage == "active"]
    parent = chosen.pop("", None)
    return Family(parent, tuple(chosen.values()), tuple(doubles))


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
        raise RuntimeError(_tell_of_deleted(project))
    return str(experiment.experiment_id)


def mark_experiment(client: MlflowClient, experiment_id: str) -> None:
    """Marks an experiment as one of model training, unless somebody has said what it is."""
    tags = client.get_experiment(experiment_id).tags
    for key, value in EXPERIMENT_TAGS.items():
        if key not in tags:
            client.set_experiment_tag(experiment_id, key, value)


def check_writable(client: MlflowClient, project: str) -> None:
    """Returns when runs of a project can be recorded, as far as that can be known before the first one.

    Raises:
        TrackingUnavailable: When its experiment was deleted.
        mlflow.exceptions.MlflowException: When the server forbids it to this user.
    """
    experiment = client.get_experiment_by_name(project)
    if experiment is None:
        return  # it will be this user's own
    if experiment.lifecycle_stage != "active":
        raise TrackingUnavailable(_tell_of_deleted(project))
    for key, value in EXPERIMENT_TAGS.items():  # writes what is there already: who may not, may not create runs either
        client.set_experiment_tag(experiment.experiment_id, key, experiment.tags.get(key, value))


def _tell_of_deleted(project: str) -> str:
    return f"the experiment {project!r} is deleted in MLflow: restore it there, or choose another `project`"


def build_user_tag() -> dict[str, str]:
    """The tag that fills MLflow's column "Created by"."""
    try:
        return {"mlflow.user": getpass.getuser()}
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return {}
