"""Serves the MLflow UI over the recorded sweeps on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tracking.store import ui_server
from tracking.store.connection import TrackingUnavailable, check_tracking, sqlite_path

HOST = "127.0.0.1"
END_SECONDS = ui_server.INTERRUPT_SECONDS + 2.0  # that the server has to end; a second Ctrl+C kills it
START_SECONDS = 120.0  # that it has to answer, also on a busy machine
_POLL_SECONDS = 0.1
_MAX_TRIED = 100  # ports beyond the one that is taken


class UiServer:
    """MLflow's server on a port of this machine.

    Args:
        port: Where it listens.
        process: Of `ui_server`.
    """

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.address = f"http://{HOST}:{port}"
        self._port, self._process = port, process
        self._last: deque[str] = deque(maxlen=1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> None:
        """Returns never.

        Raises:
            TrackingUnavailable: When the server has ended by itself.
        """
        self._reader.join()
        last = self._last[0] if self._last else "without a word"
        raise TrackingUnavailable(f"MLflow's server on port {self._port} has ended by itself ({last})")

    def wait_until_it_answers(self) -> None:
        """Returns when the server answers.

        Raises:
            TrackingUnavailable: When it has ended, or does not.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self._reader.is_alive():
                self.wait()
            with suppress(URLError, OSError), urlopen(f"{self.address}/health", timeout=5.0):
                return
            time.sleep(_POLL_SECONDS)
        raise TrackingUnavailable(f"MLflow's server on port {self._port} does not answer within {START_SECONDS:g} s")

    def _read(self) -> None:
        """Keeps the last line that the server printed."""
        assert self._process.stdout is not None
        self._last.extend(line.strip() for line in self._process.stdout if line.strip())


@contextmanager
def run_ui(tracking_uri: str, artifact_root: Path | None, port: int) -> Iterator[UiServer]:
    """Runs MLflow's server while it is open; it answers from the beginning, and ends however this process ends.

    Raises:
        TrackingUnavailable: When the port is taken, the store cannot be made, or the server does not start.
    """
    check_free(port)
    database = sqlite_path(tracking_uri)
    if database is not None and not database.exists():  # which a server that is ended at once would leave half made
        check_tracking(tracking_uri, START_SECONDS)
    # In a session of its own: Ctrl+C and the end of a terminal reach it through this process alone, and once.
    process = subprocess.Popen(
        [sys.executable, "-P", str(Path(ui_server.__file__)), *build_ui_command(artifact_root, port)],
        env=build_ui_environment(tracking_uri),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    )
    try:
        server = UiServer(port, process)
        server.wait_until_it_answers()
        yield server
    finally:
        _end(process)


def check_free(port: int) -> None:
    """Returns when a port of 127.0.0.1 is free.

    Raises:
        TrackingUnavailable: It is not.
    """
    if problem := _find_fault(port):
        free = next((each for each in range(port + 1, min(port + _MAX_TRIED, 65536)) if not _find_fault(each)), None)
        remedy = "choose another with --port" if free is None else f"{free} is free: sweeps ui --port {free}"
        raise TrackingUnavailable(f"port {port} of {HOST} cannot be used ({problem}); {remedy}")


def _find_fault(port: int) -> str:
    """Why nothing can listen at a port; "" where something can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror or type(error).__name__
    return ""


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the server with all its processes."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.wait(END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def build_ui_command(artifact_root: Path | None, port: int) -> list[str]:
    """The command line of the server; the store is not in it, since other users can see a command line."""
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    return (
        command if artifact_root is None else [*command, "--default-artifact-root", artifact_root.absolute().as_uri()]
    )


def build_ui_environment(tracking_uri: str) -> dict[str, str]:
    """The environment of the server: the store, no background jobs (ten processes, 1.75 GB), no calls home."""
    return {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
