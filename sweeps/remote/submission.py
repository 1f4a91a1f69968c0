"""Hands a sweep to a running Ray cluster, and hands it there again to go on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.errors import BadUsage
from sweeps.home import Home, build_sweep_id
from sweeps.remote.control import describe_life
from sweeps.remote.credentials import JOB_HAS_BEGUN, lend_credentials
from sweeps.spec import load_spec
from tracking.store.connection import TrackingUnavailable
from tracking.store.queries import SweepNotFound, SweepStatus, load_status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeps.remote.jobs import JobsClient, JobState


@dataclass(frozen=True)
class Submission:
    """A sweep that was handed to a cluster."""

    sweep_id: str
    job: str
    address: str
    status: str  # of the job: RUNNING, PENDING, or how it ended already
    message: str


def submit_sweep(
    home: Home,
    file: Path,
    overrides: Sequence[str],
    cluster: JobsClient,
    *,
    storage: str | None = None,
    working_dir: Path | None = None,
) -> Submission:
    """Hands a sweep file to a cluster and waits until its driver has passed its checks and MLflow knows the sweep.

    Args:
        home: How MLflow is reached from here.
        file: As for `sweeps run`; checked here first.
        overrides: As for `sweeps run`.
        cluster: Where to run it.
        storage: Results folder on the cluster, which all its nodes share; None for SWEEPS_HOME as it is there.
        working_dir: Folder of modules that the sweep file names; None for none.

    Raises:
        SpecError: The file is at fault.
        BadUsage: The cluster does not take it.
        Unreachable: The cluster does not answer.
    """
    spec = load_spec(file, overrides)
    sweep_id = build_sweep_id(spec.slug)
    arguments = ["run", f"{{files}}/{file.name}", "--id", sweep_id]
    arguments += [part for override in overrides for part in ("--set", override)]
    files = {file.name: file.read_text("utf-8")}
    with lend_credentials(os.environ, storage) as tracking:
        job = cluster.submit(
            arguments, sweep_id, files=files, tracking=tracking, storage=storage, working_dir=working_dir
        )
        state = _wait_for_driver(home, sweep_id, job, cluster, tracking)
    return Submission(sweep_id, job, cluster.address, state.status, state.message)


def _wait_for_driver(home: Home, sweep_id: str, job: str, cluster: JobsClient, tracking: Mapping[str, Any]) -> JobState:
    """Waits until the job has taken its credentials and its driver gives signs of life, or until it has ended."""
    submitted = time.monotonic()

    def is_driven() -> bool:
        if tracking["file"] and Path(tracking["file"]).exists():
            return False
        try:
            status = load_status(sweep_id, home.tracking_uri)
        except SweepNotFound:
            return False
        except TrackingUnavailable:
            return JOB_HAS_BEGUN in cluster.read_logs(job)  # MLflow is not reached from here: this has to do
        age = status.seconds_since_heartbeat
        return status.job == job and age is not None and age < time.monotonic() - submitted

    return cluster.wait_until(job, is_driven)


def resume_submitted(
    home: Home,
    status: SweepStatus,
    cluster: JobsClient,
    storage: str | None = None,
    order: Sequence[str] = ("resume",),
) -> Submission:
    """Starts a new job that goes on with a submitted sweep where its journal ends.

    Args:
        home: How MLflow is reached from here.
        status: Of the sweep.
        cluster: Where to run it.
        storage: As in `submit_sweep`.
        order: The command that goes on with it, and its arguments but for the sweep.

    Raises:
        BadUsage: When its job still runs.
        Unreachable: When the cluster does not answer.
    """
    try:
        ended = cluster.job_state(status.job).ended
    except BadUsage:
        ended = True  # a head that was restarted has forgotten its jobs, which ended with it
    if not ended:
        raise BadUsage(f"{status.sweep_id}: it is running ({describe_life(status)})")
    sweep_id = status.sweep_id
    with lend_credentials(os.environ, storage) as tracking:
        job = cluster.submit(
            [order[0], sweep_id, *order[1:]], sweep_id, files={}, tracking=tracking, storage=storage, working_dir=None
        )
        state = _wait_for_driver(home, sweep_id, job, cluster, tracking)
    return Submission(sweep_id, job, cluster.address, state.status, state.message)
