"""How a running sweep is reached from anywhere: requests and signs of life are tags of its run in MLflow.

Whoever reaches MLflow can ask a sweep to pause, go on, stop or end, whether it runs in another terminal or on a
cluster, and can tell whether its driver still lives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from tracking import names
from tracking.store.connection import describe, open_client, short_retries
from tracking.store.queries import ask, find_parent

if TYPE_CHECKING:
    from mlflow import MlflowClient

POLL_SECONDS = 2.0
HEARTBEAT_SECONDS = 10.0
LOST_SECONDS = 60.0  # without a sign of life for so long, a driver counts as lost


class Request(StrEnum):
    """What a running sweep can be asked."""

    PAUSE = "pause"  # no new trials; running ones go on
    RESUME = "resume"  # go on after a pause
    STOP = "stop"  # no new trials; the sweep ends when those that run have ended
    CANCEL = "cancel"  # end now


def send_request(tracking_uri: str, sweep_id: str, request: Request) -> None:
    """Leaves a request for the sweep's driver, which looks every few seconds.

    Raises:
        SweepNotFound: When there is no such sweep.
        TrackingUnavailable: When MLflow cannot be written.
    """

    def send(client: MlflowClient) -> None:
        # A request is told from an older one of the same kind by its time.
        client.set_tag(find_parent(client, sweep_id).info.run_id, names.SWEEP_REQUEST, f"{request}@{time.time():.3f}")

    ask(tracking_uri, send)


class ControlChannel:
    """Looks for requests and leaves signs of life, from a thread of its own; never raises, never makes anyone wait.

    Args:
        tracking_uri: Where the sweep is recorded.
        sweep_id: The sweep; its run need not be there yet.
        on_request: Called in the channel's thread with each new request, once.
    """

    def __init__(self, tracking_uri: str, sweep_id: str, on_request: Callable[[Request], None]) -> None:
        self._uri = tracking_uri
        self._sweep_id = sweep_id
        self._on_request = on_request
        self._ended = threading.Event()
        self._seen: str | None = None  # the request that was there at the start is none of this driver's
        self._last_heartbeat = 0.0
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="sweep-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._thread.join(POLL_SECONDS + 1)

    def _run(self) -> None:
        client: MlflowClient | None = None
        run_id = ""
        while not self._ended.wait(POLL_SECONDS):
            try:
                with short_retries():
                    if client is None:
                        client = open_client(self._uri)
                        run_id = find_parent(client, self._sweep_id).info.run_id
                    self._look(client, run_id)
                self.problem = ""
            except Exception as error:  # noqa: BLE001  # the border: a server that is away must not end a sweep
                client = None
                self.problem = describe(error, self._uri)

    def _look(self, client: MlflowClient, run_id: str) -> None:
        if time.monotonic() - self._last_heartbeat >= HEARTBEAT_SECONDS:
            client.set_tag(run_id, names.SWEEP_HEARTBEAT, f"{time.time():.0f}")
            self._last_heartbeat = time.monotonic()
        found = client.get_run(run_id).data.tags.get(names.SWEEP_REQUEST, "")
        if self._seen is None:
            self._seen = found
        elif found != self._seen:
            self._seen = found
            self._on_request(Request(found.partition("@")[0]))
