"""Whether MLflow still holds what a sweep has recorded so far, where the sweep can go on writing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tracking.store.connection import check_tracking, hide_password
from tracking.store.queries import ask
from tracking.store.runs import SweepDeleted, check_not_deleted, find_family

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHECK_SECONDS = 60.0


class NotResumable(RuntimeError):
    """A sweep cannot go on with this MLflow; the message says why and what to do."""


def check_resumable(tracking_uri: str, sweep_id: str, *, num_delivered: int, artifact_root: Path | None) -> None:
    """Returns when a sweep that was begun earlier can go on being recorded.

    Args:
        tracking_uri: MLflow.
        sweep_id: The sweep.
        num_delivered: Events that MLflow has got from it.
        artifact_root: Where a store in the results folder keeps its artifacts; None for every other store.

    Raises:
        NotResumable: When its run was deleted, or is not there, or keeps its files in another folder.
        TrackingUnavailable: When MLflow does not answer.
    """
    check_tracking(tracking_uri, CHECK_SECONDS)
    problem = ask(tracking_uri, lambda client: _find_problem(client, sweep_id, num_delivered, artifact_root))
    if problem:
        raise NotResumable(problem)


def _find_problem(client: MlflowClient, sweep_id: str, num_delivered: int, artifact_root: Path | None) -> str:
    parent = find_family(client, sweep_id).parent
    if parent is None:
        return _tell_missing(client, sweep_id, num_delivered) if num_delivered else ""
    try:
        check_not_deleted(client, parent, sweep_id)
    except SweepDeleted as error:
        return str(error)
    place = _local_path(parent.info.artifact_uri)
    if artifact_root is not None and place is not None and not place.is_relative_to(artifact_root.resolve()):
        return (
            f"{sweep_id}: this results folder was moved or copied, and MLflow's file in it still keeps artifacts in "
            f"{place.parents[1]}; move it back to go on, or start a new sweep here. `sweeps report` works as it is"
        )
    return ""


def _tell_missing(client: MlflowClient, sweep_id: str, num_delivered: int) -> str:
    return (
        f"{sweep_id}: MLflow at {hide_password(str(client.tracking_uri))} does not hold it, though {num_delivered} of "
        "its events were delivered; set MLFLOW_TRACKING_URI to where it was recorded. If that is gone for good, delete "
        "journal.jsonl.delivered in the folder of the sweep: all of it is then delivered here"
    )


def _local_path(uri: str) -> Path | None:
    """The folder of an artifact URI; None where it is none on this machine."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)).resolve() if parts.scheme in ("", "file") else None
