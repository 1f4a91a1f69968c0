"""Serves the MLflow UI over the recorded sweeps on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

from tracking.store.connection import TrackingUnavailable, hide_password

END_SECONDS = 10.0  # that the server has to end; a second Ctrl+C kills it


def serve_ui(tracking_uri: str, artifact_root: Path | None, port: int) -> int:
    """Runs MLflow's server on 127.0.0.1 until it is interrupted; returns 0 after Ctrl+C.

    For an `http://` tracking URI there is nothing to serve: its address is printed.

    Raises:
        TrackingUnavailable: When the server does not start, or ends by itself.
    """
    if tracking_uri.startswith(("http://", "https://")):
        sys.stdout.write(f"MLflow's UI is at {hide_password(tracking_uri)}\n")
        return 0
    check_free(port)
    sys.stdout.write(f"MLflow's UI: http://127.0.0.1:{port} (Ctrl+C ends it)\n")
    sys.stdout.flush()
    # In a session of its own: Ctrl+C and the end of a terminal reach it through this process alone, and once.
    with subprocess.Popen(
        build_ui_command(artifact_root, port),
        env=build_ui_environment(tracking_uri),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    ) as server:
        try:
            last = _read_to_end(server)
        except KeyboardInterrupt:
            return 0
        finally:
            _end(server)
    raise TrackingUnavailable(f"MLflow's server on port {port} has ended by itself ({last or 'without a word'})")


def check_free(port: int) -> None:
    """Returns when a port of 127.0.0.1 is free.

    Raises:
        TrackingUnavailable: It is not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise TrackingUnavailable(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); choose another with --port"
            ) from error


def _read_to_end(server: subprocess.Popen[str]) -> str:
    """The last line that the server printed, when it has ended."""
    assert server.stdout is not None
    lines: deque[str] = deque((line for line in server.stdout if line.strip()), maxlen=1)
    return lines[0].strip() if lines else ""


def _end(server: subprocess.Popen[str]) -> None:
    """Ends the server with all its processes: SIGTERM would end the first of them only."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            server.wait(END_SECONDS)


def build_ui_command(artifact_root: Path | None, port: int) -> list[str]:
    """The command line of the server; the store is not in it, since other users can see a command line."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
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
