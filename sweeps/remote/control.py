"""Looking after sweeps that run elsewhere: in another terminal, or on a cluster they were submitted to.

MLflow is the record and the way to a running driver; the cluster's Jobs API is asked only for what MLflow cannot know:
a job that has not begun, or a driver that no longer answers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.errors import BadUsage
from sweeps.home import JOB_VARIABLE, Home, build_sweep_id, choose_sweep
from sweeps.spec.models import load_spec
from tracking import names
from tracking.store.connection import TrackingUnavailable
from tracking.store.control_channel import LOST_SECONDS, Request, send_request
from tracking.store.queries import SweepNotFound, SweepStatus, list_sweeps, load_status, load_sweep
from tracking.table import SweepTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeps.remote.jobs import Cluster, JobState

NUM_KNOWN = 1000  # sweeps that an id's beginning is looked for in
OBEY_SECONDS = 30.0  # how long to wait for a driver to take a request
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Submission:
    """A sweep that was handed to a cluster."""

    sweep_id: str
    job: str
    address: str
    status: str  # of the job: RUNNING, PENDING, or how it ended already
    message: str


def find_sweep(home: Home, sweep_id: str | None) -> str:
    """The sweep of that id or unambiguous beginning, here or in MLflow; the latest one for None.

    Raises:
        BadUsage: When there is no such sweep, with the ids there are.
        TrackingUnavailable: When it is not here and MLflow cannot be read.
    """
    local = home.sweep_ids()
    if not home.has_remote_tracking or (sweep_id and any(known.startswith(sweep_id) for known in local)):
        return choose_sweep(local, sweep_id, str(home.path))
    recorded = [sweep.sweep_id for sweep in list_sweeps(home.tracking_uri, NUM_KNOWN)]
    ids = list(dict.fromkeys([*recorded, *local]))  # MLflow's first: they are in the order of their starts
    return choose_sweep(ids, sweep_id, f"{home.path} and MLflow")


def submit_sweep(
    home: Home,
    file: Path,
    overrides: Sequence[str],
    cluster: Cluster,
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
    job = cluster.submit(
        arguments, sweep_id, files={file.name: file.read_text()}, storage=storage, working_dir=working_dir
    )
    state = _wait_for_driver(home, sweep_id, job, cluster)
    return Submission(sweep_id, job, cluster.address, state.status, state.message)


def _wait_for_driver(home: Home, sweep_id: str, job: str, cluster: Cluster) -> JobState:
    """Waits until the job's driver has passed its checks and gives signs of life, or has ended."""
    submitted = time.monotonic()

    def is_driven() -> bool:
        try:
            status = load_status(sweep_id, home.tracking_uri)
        except SweepNotFound:
            return False
        except TrackingUnavailable:
            return True  # MLflow is not reached from here: that the job runs has to do
        age = status.seconds_since_heartbeat
        return status.job == job and age is not None and age < time.monotonic() - submitted

    return cluster.wait_until(job, is_driven)


def resume_submitted(home: Home, status: SweepStatus, cluster: Cluster, storage: str | None = None) -> Submission:
    """Starts a new job that goes on with a submitted sweep where its journal ends.

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
    job = cluster.submit(["resume", status.sweep_id], status.sweep_id, files={}, storage=storage, working_dir=None)
    state = _wait_for_driver(home, status.sweep_id, job, cluster)
    return Submission(status.sweep_id, job, cluster.address, state.status, state.message)


class Ways(Enum):
    """How a sweep is made to go on."""

    UNPAUSE = auto()  # its driver waits
    SUBMIT = auto()  # a new job on the cluster
    HERE = auto()  # a new driver in this process


def way_to_resume(home: Home, sweep_id: str) -> Ways:
    """How to go on with a sweep.

    Raises:
        BadUsage: When it is running.
        TrackingUnavailable: When MLflow cannot be read.
    """
    try:
        status = load_status(sweep_id, home.tracking_uri)
    except SweepNotFound:
        return Ways.HERE  # MLflow was away from the start; the journal has everything
    if is_alive(status) and status.phase == "paused":
        return Ways.UNPAUSE
    # The driver of a sweep whose folder is here would hold its journal; a resume finds that out for certain.
    has_folder = home.folder(sweep_id).journal.exists()
    if is_alive(status) and not status.job and not has_folder:
        raise BadUsage(f"{sweep_id}: it is running ({describe_life(status)})")
    return Ways.SUBMIT if status.job and JOB_VARIABLE not in os.environ else Ways.HERE


def is_alive(status: SweepStatus) -> bool:
    """Whether a driver looks after the sweep: it runs and has given a sign of life lately."""
    age = status.seconds_since_heartbeat
    return status.state == names.STATE_RUNNING and age is not None and age < LOST_SECONDS


def ask_sweep(home: Home, sweep_id: str, request: Request) -> SweepStatus:
    """Asks a running sweep's driver for something and returns how the sweep stands when it has obeyed.

    Raises:
        BadUsage: When no driver looks after it, or the driver does not obey in time.
        SweepNotFound: When MLflow has no such sweep.
        TrackingUnavailable: When MLflow cannot be reached.
    """
    status = load_status(sweep_id, home.tracking_uri)
    if status.state != names.STATE_RUNNING:
        raise BadUsage(f"{sweep_id}: it has ended already ({status.state})")
    if not is_alive(status):
        raise BadUsage(
            f"{sweep_id}: its driver is gone ({describe_life(status)}); go on with `sweeps resume {sweep_id}`"
        )
    send_request(home.tracking_uri, sweep_id, request)
    wanted = {Request.PAUSE: "paused", Request.RESUME: "", Request.STOP: "stopping", Request.CANCEL: "cancelling"}
    deadline = time.monotonic() + OBEY_SECONDS
    while time.monotonic() < deadline:
        time.sleep(WAIT_SECONDS)
        status = load_status(sweep_id, home.tracking_uri)
        if status.phase == wanted[request] or status.state != names.STATE_RUNNING:
            return status
    raise BadUsage(f"{sweep_id}: its driver has not answered within {OBEY_SECONDS:g} s; see `sweeps status {sweep_id}`")


def describe_life(status: SweepStatus) -> str:
    """When the driver was last heard of, in words."""
    age = status.seconds_since_heartbeat
    return "no sign of life so far" if age is None else f"last sign of life {age:.0f} s ago"


def read_logs(home: Home, sweep_id: str, cluster: Cluster | None, *, follow: bool) -> Iterator[str]:
    """Yields what a sweep's driver has printed: from its file here, from the cluster, or what MLflow knows of it.

    Args:
        home: Where to look first.
        sweep_id: The sweep.
        cluster: Where it was submitted to; None when that is not known.
        follow: Whether to go on until the sweep ends.

    Raises:
        SweepNotFound: When nobody knows it.
        TrackingUnavailable: When MLflow cannot be read.
    """
    file = home.folder(sweep_id).driver_log
    if file.exists():
        yield from _read_file(home, sweep_id, file, follow=follow)
        return
    job = _find_job(home, sweep_id)
    if cluster is not None:
        try:
            yield from cluster.follow_logs(job) if follow else [cluster.read_logs(job)]
        except BadUsage:
            pass  # a head that was restarted has forgotten the job
        else:
            return
    seen: set[str] = set()
    while True:
        table = load_sweep(sweep_id, home.tracking_uri)
        for line in list_ended(table):
            if line not in seen:
                seen.add(line)
                yield line + "\n"
        if not follow or table.state != names.STATE_RUNNING:
            return
        time.sleep(2 * WAIT_SECONDS)


def _find_job(home: Home, sweep_id: str) -> str:
    """The sweep's latest job; a job that has not begun is known by the sweep's id alone."""
    try:
        return load_status(sweep_id, home.tracking_uri).job or sweep_id
    except SweepNotFound:
        return sweep_id


def _read_file(home: Home, sweep_id: str, path: Path, *, follow: bool) -> Iterator[str]:
    with path.open() as file:
        while True:
            running = follow and is_alive(load_status(sweep_id, home.tracking_uri))
            yield from iter(lambda: file.read(65536), "")
            if not running:
                return
            time.sleep(WAIT_SECONDS)


def list_ended(table: SweepTable) -> list[str]:
    """A line per trial that has ended, in the order of their ends."""
    ended = [trial for trial in table.trials if trial.state is not None]
    lines = []
    for trial in sorted(ended, key=lambda trial: trial.end_time or 0.0):
        best = trial.best(table.goal_metric, table.goal)
        score = "" if best is None else f"  best {table.goal_metric} {best:.4f}"
        state = str(trial.state).replace("_", " ")
        lines.append(f"{state:>13}  {trial.trial_id:<16} epoch {trial.num_epochs:>3}{score}  {trial.stop_reason}")
    return lines
