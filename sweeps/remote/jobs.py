"""Sweeps on a Ray cluster from outside, through the Ray Jobs API."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.environment import describe_versions, list_packages
from sweeps.errors import BadUsage, ExitCode, Unreachable, first_line
from sweeps.home import JOB_VARIABLE

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"  # Ray's own
STOP_SECONDS = 90  # how long a driver may take to close its runs and write its report after SIGINT
READY_SECONDS = 60.0  # how long a cluster that has just started may take before it takes jobs
REQUEST_SECONDS = 60.0  # how long a head may be silent that is asked for something
AWAY_SECONDS = 60.0  # how long a head that is followed may be away
START_SECONDS = 180.0  # how long a cluster may take to start a job's process
NOISY_LOGGERS = (  # each has a level of its own
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class JobState:
    """How a job stands: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED, and what Ray says of it."""

    status: str
    message: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


class JobsClient:
    """A Ray cluster that is reached through its Jobs API.

    Args:
        address: As http://head:8265; None for what RAY_API_SERVER_ADDRESS says.

    Raises:
        BadUsage: When no address is given, or Ray's versions differ.
        Unreachable: When nothing answers there, or the token is wrong.
    """

    def __init__(self, address: str | None) -> None:
        self.address = address or os.environ.get(ADDRESS_VARIABLE, "")
        if not self.address:
            raise BadUsage(f"which cluster? Give --address http://HEAD:8265, or set {ADDRESS_VARIABLE}")
        if not self.address.startswith(("http://", "https://")):
            raise BadUsage(f"{self.address}: the address of a Jobs API begins with http://; write http://HEAD:8265")
        with self._explained(), _without_ray_addresses():
            for name in NOISY_LOGGERS:
                logging.getLogger(name).setLevel(logging.WARNING)  # they tell of each package that is sent
            self._client = _open_client(self.address)
            theirs = self._client._do_request("GET", "/api/version").json()["ray_version"]
        ours = describe_versions()["ray"]
        if theirs != ours:
            raise BadUsage(
                f"{self.address}: the cluster has ray {theirs}, here is {ours}; install the same on both sides"
            )

    def submit(
        self,
        arguments: Sequence[str],
        sweep_id: str,
        *,
        files: Mapping[str, str],
        tracking: Mapping[str, Any],
        storage: str | None,
        working_dir: Path | None,
    ) -> str:
        """Starts a sweep's driver on the cluster; returns the job's submission id.

        All of it can be read by whoever reaches the Jobs API or the head's logs: nothing in it may be secret.

        Args:
            arguments: Of the `sweeps` command, which runs in a folder that has the files.
            sweep_id: The sweep; also the submission id, with a number behind it when it is taken.
            files: Name to content.
            tracking: What the driver is told of MLflow, from `lend_credentials`.
            storage: Results folder on the cluster; None for what SWEEPS_HOME says there.
            working_dir: Folder of the user's own modules; None for none.

        Raises:
            BadUsage: When the cluster refuses the job.
            Unreachable: When it does not answer.
        """
        order = {"arguments": list(arguments), "versions": describe_versions(), "files": dict(files)}
        order["tracking"] = dict(tracking)
        environment = {
            "SWEEPS_ORDER": json.dumps(order),
            "RAY_JOB_STOP_SIGNAL": "SIGINT",
            "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS),
        }
        if storage:
            environment["SWEEPS_HOME"] = storage
        runtime: dict[str, Any] = {"py_modules": list_packages()}
        if working_dir is not None:
            runtime["working_dir"] = str(working_dir)
        with self._explained():
            taken = {job.submission_id for job in self._client.list_jobs()}
            job = next(name for name in _number(sweep_id) if name not in taken)
            environment[JOB_VARIABLE] = job
            runtime["env_vars"] = environment
            self._submit_when_ready(job, runtime, sweep_id)
        return job

    def _submit_when_ready(self, job: str, runtime: dict[str, Any], sweep_id: str) -> None:
        """Submits, again for a while where the cluster has only just started: its API answers before it takes jobs."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._client.submit_job(
                    entrypoint="exec python -m sweeps.cli.job",
                    submission_id=job,
                    runtime_env=runtime,
                    metadata={"sweep_id": sweep_id},
                )
            except RuntimeError as error:
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(1.0)
            else:
                return

    def wait_until(self, job: str, started: Callable[[], bool]) -> JobState:
        """Returns when the job has started, in somebody's eyes, has ended, or START_SECONDS are over."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            state = self.job_state(job)
            if state.ended or time.monotonic() > deadline or (state.status == "RUNNING" and started()):
                return state
            time.sleep(1.0)

    def job_state(self, job: str) -> JobState:
        """How a job stands.

        Raises:
            BadUsage: When the cluster does not know it: a head that was restarted has forgotten its jobs.
        """
        with self._explained():
            info = self._client.get_job_info(job)
        return JobState(str(info.status.value), info.message or "")

    def exit_code(self, job: str) -> ExitCode:
        """The exit code of the job's driver, as far as Ray tells."""
        with self._explained():
            code = self._client.get_job_info(job).driver_exit_code
        return ExitCode(code) if code in set(ExitCode) else ExitCode.NOTHING_SUCCEEDED

    def read_logs(self, job: str) -> str:
        """What the job's driver has printed so far."""
        with self._explained():
            return str(self._client.get_job_logs(job))

    def follow_logs(self, job: str) -> Iterator[str]:
        """Yields what the job's driver prints, from the beginning to its end.

        Raises:
            BadUsage: When the cluster has forgotten the job, as a head that was restarted has.
            Unreachable: When the head is away for AWAY_SECONDS, or has not started the job within START_SECONDS.
        """
        printed, started = 0, time.monotonic()
        answered = started
        while True:
            try:
                state, text = self.job_state(job), self.read_logs(job)
            except Unreachable as error:
                if time.monotonic() - answered > AWAY_SECONDS:
                    raise Unreachable(f"{error}; {job} may go on there: `sweeps logs --follow` later") from error
                time.sleep(1.0)
                continue
            answered = time.monotonic()
            if len(text) > printed:
                yield text[printed:]
                printed = len(text)
            if state.ended:
                return
            if state.status == "PENDING" and answered - started > START_SECONDS:
                raise Unreachable(
                    f"{self.address}: the cluster has not started {job} within {START_SECONDS:g} s; see whether its "
                    "head has memory left, and follow it later with `sweeps logs --follow`, or end it: `sweeps cancel`"
                )
            time.sleep(1.0)

    def stop(self, job: str) -> None:
        """Sends the job's driver SIGINT; it has STOP_SECONDS to close its runs."""
        with self._explained():
            self._client.stop_job(job)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what Ray raises into one sentence with the remedy."""
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise Unreachable(
                f"{self.address}: the cluster refuses our token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the "
                "cluster's"
            ) from error
        except (ConnectionError, requests.RequestException) as error:
            raise Unreachable(
                f"{self.address}: no Ray Jobs API answers there ({first_line(error)}); check --address (the "
                "dashboard's port, 8265 by default) and that the cluster is up"
            ) from error
        except RuntimeError as error:
            if "404" in str(error) or "does not exist" in str(error):
                raise BadUsage(f"{self.address}: the cluster does not know this job ({first_line(error)})") from error
            raise BadUsage(f"{self.address}: {first_line(error)}") from error
        except ValueError as error:
            raise BadUsage(f"{self.address}: {first_line(error)}") from error


def _open_client(address: str) -> JobSubmissionClient:
    """Ray's client, which would wait without end for a head that takes a request and gives no answer."""
    from ray.job_submission import JobSubmissionClient

    class BoundedClient(JobSubmissionClient):  # type: ignore[misc]
        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, **{"timeout": REQUEST_SECONDS, **options})

    return BoundedClient(address)


@contextmanager
def _without_ray_addresses() -> Iterator[None]:
    """Ray would take these for the address, whatever it is given."""
    hidden = {name: os.environ.pop(name) for name in ("RAY_ADDRESS", ADDRESS_VARIABLE) if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def has_address(address: str | None) -> bool:
    """Whether it is known which cluster is meant."""
    return bool(address or os.environ.get(ADDRESS_VARIABLE))


def _number(sweep_id: str) -> Iterator[str]:
    """The id, then the id with 2, 3, ... behind it: Ray takes each submission id once."""
    yield sweep_id
    number = 2
    while True:
        yield f"{sweep_id}-{number}"
        number += 1
