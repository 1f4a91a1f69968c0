"""`sweeps ui` in a process of its own, ended as its user would."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

PROGRAM = "import sys; from tracking.store.ui import serve_ui; sys.exit(serve_ui(sys.argv[1], None, int(sys.argv[2])))"


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(port: int) -> None:
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except OSError:
            continue
        return


def test_an_interrupt_ends_the_server_with_all_its_processes(tmp_path: Path) -> None:
    port = find_free_port()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, f"sqlite:///{tmp_path}/mlflow.db", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        wait_until_it_answers(port)
        processes = psutil.Process(command.pid).children(recursive=True)
        os.kill(command.pid, signal.SIGINT)
        output, _ = command.communicate(timeout=60)
    assert (command.returncode, output) == (0, f"MLflow's UI: http://127.0.0.1:{port} (Ctrl+C ends it)\n")
    assert processes
    assert psutil.wait_procs(processes, timeout=10)[1] == []


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_server_that_cannot_run_is_said_in_a_sentence(is_taken: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1] if is_taken else find_free_port()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "nonsense://", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    last = done.stderr.splitlines()[-1]
    expected = f"port {port} of 127.0.0.1 cannot be used (Address already in use); choose another with --port"
    assert last.startswith("tracking.store.connection.TrackingUnavailable: ")
    assert expected in last if is_taken else f"MLflow's server on port {port} has ended by itself (" in last
