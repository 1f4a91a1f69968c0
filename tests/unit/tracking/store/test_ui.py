"""MLflow's UI over recorded sweeps, run by a process of its own that is ended as its user would."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import psutil
import pytest
from forked import run_forked
from stores import *  # noqa: F403  # the fixtures
from stores import find_free_port

PROGRAM = """
import signal, sys
from pathlib import Path
from sweeps.cli.guard import take_signals
from tracking.store.ui import run_ui
take_signals()
try:
    with run_ui(sys.argv[1], None, int(sys.argv[2])) as server:
        print(server.address, flush=True)
        server.wait()
except KeyboardInterrupt:
    sys.exit(0)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_server_ends_with_all_its_processes_however_the_command_is_ended(
    number: signal.Signals, sqlite_uri: str
) -> None:
    port = find_free_port()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, sqlite_uri, str(port)], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == f"http://127.0.0.1:{port}\n"
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30).close()  # it is so when it is said
        processes = psutil.Process(command.pid).children(recursive=True)
        os.kill(command.pid, number)
        command.communicate(timeout=60)
    assert command.returncode == (-number if number is signal.SIGKILL else 0)
    assert len(processes) > 1
    assert psutil.wait_procs(processes, timeout=30)[1] == []


def test_a_port_that_is_taken_is_said_with_the_next_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-c", PROGRAM, "nonsense://", str(port)]
        done = run_forked(command)
    last = done.stderr.splitlines()[-1]
    assert done.stdout == ""
    found = re.search(rf"port {port} of 127.0.0.1 cannot be used \(Address already in use\); (\d+) is free", last)
    assert found is not None, last
    assert port < int(found[1]) <= 65535
    assert last.endswith(f"sweeps ui --port {found[1]}")


def test_a_server_that_cannot_run_is_said_in_a_sentence() -> None:
    port = find_free_port()
    command = [sys.executable, "-c", PROGRAM, "nonsense://", str(port)]
    done = run_forked(command)
    last = done.stderr.splitlines()[-1]
    assert done.stdout == "", "announced before it is so"
    assert last.startswith("tracking.store.connection.TrackingUnavailable: ")
    assert f"MLflow's server on port {port} has ended by itself (" in last
