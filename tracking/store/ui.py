"""Serves the MLflow UI over the recorded sweeps on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def serve_ui(tracking_uri: str, artifact_root: Path | None, port: int) -> int:
    """Runs MLflow's server on 127.0.0.1 until it is interrupted; returns its exit code, 0 after Ctrl+C.

    For an `http://` tracking URI there is nothing to serve: its address is printed.
    """
    if tracking_uri.startswith(("http://", "https://")):
        sys.stdout.write(f"MLflow's UI is at {tracking_uri}\n")
        return 0
    sys.stdout.write(f"MLflow's UI: http://127.0.0.1:{port} (Ctrl+C ends it)\n")
    sys.stdout.flush()
    server = subprocess.Popen(build_ui_command(artifact_root, port), env=build_ui_environment(tracking_uri))
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.wait()  # the interrupt reached it as well
        return 0


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
