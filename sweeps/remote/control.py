"""Looking after sweeps that run elsewhere: in another terminal, or on a cluster they were submitted to.

MLflow is the record and the way to a running driver; the cluster's Jobs API is asked only for what MLflow cannot know:
a job that has not begun, or a driver that no longer answers.
"""

from __future__ import annotations

import os
import time
from enum import Enum, auto

from sweeps.errors import BadUsage
from sweeps.home import JOB_VARIABLE, Home, choose_sweep
from tracking import names
from tracking.recording.journal import is_held, read_phase
from tracking.store.control_channel import LOST_SECONDS, Request, send_request
from tracking.store.queries import SweepNotFound, SweepStatus, list_sweeps, load_status

NUM_KNOWN = 1000  # sweeps that an id's beginning is looked for in
OBEY_SECONDS = 30.0  # how long to wait for a driver to take a request
WAIT_SECONDS = 1.0


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


class Ways(Enum):
    """How a sweep is made to go on."""

    UNPAUSE = auto()  # its driver waits
    SUBMIT = auto()  # a new job on the cluster
    HERE = auto()  # a new driver in this process


def way_to_resume(home: Home, sweep_id: str) -> Ways:
    """How to go on with a sweep; the lock of its journal, where that is here, says at once whether it is running.

    Raises:
        BadUsage: When it is running.
        TrackingUnavailable: When MLflow cannot be read.
    """
    journal = home.folder(sweep_id).journal
    if is_held(journal):
        if read_phase(journal) == names.PHASE_PAUSED:
            return Ways.UNPAUSE
        raise BadUsage(f"{sweep_id}: it is running; follow it with `sweeps logs --follow {sweep_id}`, or stop it first")
    try:
        status = load_status(sweep_id, home.tracking_uri)
    except SweepNotFound:
        return Ways.HERE  # MLflow was away from the start; the journal has everything
    # The driver of a sweep whose folder is here would hold its journal, unless it runs on another machine.
    is_elsewhere = bool(status.job) or not journal.exists()
    if is_alive(status) and is_elsewhere and status.phase == names.PHASE_PAUSED:
        return Ways.UNPAUSE
    if is_alive(status) and is_elsewhere and not status.job:
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
    wanted = {
        Request.PAUSE: names.PHASE_PAUSED,
        Request.RESUME: "",
        Request.STOP: "stopping",
        Request.CANCEL: "cancelling",
    }
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
