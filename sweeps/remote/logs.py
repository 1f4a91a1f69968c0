"""What the driver of a submitted sweep has said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.errors import BadUsage
from sweeps.home import Home
from sweeps.remote.control import WAIT_SECONDS, describe_life, is_alive
from tracking import names
from tracking.store.queries import SweepNotFound, SweepStatus, load_status, load_sweep
from tracking.table import SweepTable

if TYPE_CHECKING:
    from sweeps.remote.jobs import JobsClient


def read_logs(home: Home, sweep_id: str, cluster: JobsClient | None, *, follow: bool) -> Iterator[str]:
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
        status = load_status(sweep_id, home.tracking_uri)
        if not is_alive(status):
            yield _describe_loss(status)
            return
        time.sleep(2 * WAIT_SECONDS)


def _find_job(home: Home, sweep_id: str) -> str:
    """The sweep's latest job; a job that has not begun is known by the sweep's id alone."""
    try:
        return load_status(sweep_id, home.tracking_uri).job or sweep_id
    except SweepNotFound:
        return sweep_id


def _read_file(home: Home, sweep_id: str, path: Path, *, follow: bool) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="backslashreplace") as file:
        while True:
            status = load_status(sweep_id, home.tracking_uri) if follow else None
            yield from iter(lambda: file.read(65536), "")
            if status is None or status.state != names.STATE_RUNNING:
                return
            if not is_alive(status):
                yield _describe_loss(status)
                return
            time.sleep(WAIT_SECONDS)


def _describe_loss(status: SweepStatus) -> str:
    life, sweep_id = describe_life(status), status.sweep_id
    return f"{sweep_id}: its driver is gone ({life}); go on with `sweeps resume {sweep_id}`\n"


def list_ended(table: SweepTable) -> list[str]:
    """A line per trial that has ended, in the order of their ends."""
    ended = [trial for trial in table.trials if trial.state is not None]
    lines = []
    for trial in sorted(ended, key=lambda trial: trial.end_time or 0.0):
        best = table.value(trial)
        score = "" if best is None else f"  best {table.goal_metric} {best:.4f}"
        state = str(trial.state).replace("_", " ")
        lines.append(f"{state:>13}  {trial.trial_id:<16} epoch {trial.num_epochs:>3}{score}  {trial.stop_reason}")
    return lines
