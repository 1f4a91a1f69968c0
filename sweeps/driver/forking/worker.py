"""What Ray starts as a worker: asks the server for a fork that is the worker, and lives as long as that does.

Where no server answers, the working directory is gone, or Ray asks for an environment of its own, this process becomes
Ray's own program that starts a worker. It imports the standard library alone: every worker waits for it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
from typing import Any

SERVER_VARIABLE = "SWEEPS_FORK_SERVER"  # the path of the server's socket


def _ask_for_fork(arguments: list[str]) -> socket.socket | None:
    """The connection to the fork that is the worker, None where there is none."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        order = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
        connection.connect(os.environ[SERVER_VARIABLE])
        socket.send_fds(connection, [b"-"], [0, 1, 2])
        connection.sendall(json.dumps(order).encode() + b"\n")
        return connection if connection.recv(1) else None
    except OSError:
        return None


def _is_plain(context: dict[str, Any], language: str) -> bool:
    """Whether a worker needs nothing but the environment that it is started with."""
    own = any(context.get(name) for name in ("command_prefix", "env_vars", "override_worker_entrypoint"))
    return language == "PYTHON" and not own and context.get("py_executable") in (None, sys.executable)


def main() -> None:
    """Is started by Ray with the arguments of its own program."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--serialized-runtime-env-context", default="{}")
    parser.add_argument("--language", default="PYTHON")
    own, arguments = parser.parse_known_args()
    connection = None
    if _is_plain(json.loads(own.serialized_runtime_env_context), own.language):
        connection = _ask_for_fork(arguments)
    if connection is None:
        program = os.path.join(os.path.dirname(arguments[0]), "setup_worker.py")  # noqa: PTH118, PTH120
        os.execv(sys.executable, [sys.executable, program, *sys.argv[1:]])
    with contextlib.suppress(OSError):
        connection.recv(1)


if __name__ == "__main__":
    main()
