"""Sweeps handed to a real Ray cluster through its Jobs API, and looked after from outside."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sweeps.spec import SweepSpec

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

TOKEN = "a-token-of-the-tests-own-0123456789"
WAIT_SECONDS = 240.0


@dataclass(frozen=True)
class Outside:
    """A machine that reaches the cluster's Jobs API and MLflow, and shares no folder with either."""

    address: str
    folder: Path
    environment: dict[str, str]

    def sweeps(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sweeps.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.environment | environment,
        )

    def status(self, sweep_id: str) -> dict[str, Any]:
        done = self.sweeps("status", sweep_id, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def wait(self, sweep_id: str, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + WAIT_SECONDS
        while not ready(status := self.status(sweep_id)):
            assert time.monotonic() < deadline, self.sweeps("logs", sweep_id).stdout
            time.sleep(1.0)  # asking takes most of a core, and the sweep needs it
        return status


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """A Ray head with a token on loopback, and somebody outside."""
    folder = tmp_path_factory.mktemp("outside")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        port, gcs_port, agent_port = (each.getsockname()[1] for each in sockets)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SWEEPS_"))}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}",
    }
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", f"--port={gcs_port}", "--dashboard-host=127.0.0.1"]
    command += [f"--dashboard-port={port}", "--disable-usage-stats", "--object-store-memory=300000000"]
    # Jobs go through the node's agent, whose usual port another Ray of this machine may have.
    command += [f"--dashboard-agent-listen-port={agent_port}"]
    # The job's processes find `python` on the PATH, as in the image.
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with subprocess.Popen(
        [*command, "--temp-dir=/tmp/ray-submit"],  # short: the paths of sockets are
        env={**environment, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as head:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            assert head.poll() is None
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the head did not start"
        yield Outside(address, folder, environment | {"SWEEPS_HOME": str(folder / "results")})
        head.terminate()


@pytest.fixture
def file(build_spec: Callable[..., SweepSpec], tmp_path: Path) -> Path:
    build_spec()
    return tmp_path / "small.yaml"


def test_a_submitted_sweep_is_paused_cancelled_and_resumed_from_outside(
    outside: Outside, file: Path, tmp_path: Path
) -> None:
    arguments = ["--set", "parameters.epochs=8", "--set", "early_terminate=null", "--json"]
    storage = str(tmp_path / "storage")
    done = outside.sweeps("submit", str(file), "--address", outside.address, "--storage", storage, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    sweep_id = json.loads(done.stdout)["sweep_id"]

    outside.wait(sweep_id, lambda status: count(status, "running") > 0)
    assert "paused" in outside.sweeps("pause", sweep_id[:9]).stdout
    paused = outside.wait(sweep_id, lambda status: count(status, "running") == 0)
    assert (paused["state"], paused["phase"]) == ("running", "paused")
    assert "goes on" in outside.sweeps("resume", sweep_id).stdout
    outside.wait(sweep_id, lambda status: count(status, "running") > 0)

    assert "cancelled" in outside.sweeps("cancel", sweep_id).stdout
    cancelled = outside.wait(sweep_id, lambda status: status["state"] != "running")
    assert cancelled["state"] == "interrupted"
    again = outside.sweeps("pause", sweep_id)
    assert again.returncode == 2
    assert "it has ended already (interrupted)" in again.stderr

    resumed = outside.sweeps("resume", sweep_id, "--address", outside.address, "--storage", storage, "--follow")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "adam-confirm-00" in resumed.stdout
    assert resumed.stderr == ""
    status = outside.status(sweep_id)
    assert status["state"] == "completed"
    assert count(status, "completed") == 6
    assert status["job"] == f"{sweep_id}-2"
    # Outside there is no folder of the sweep: MLflow is the record.
    assert "adam" in outside.sweeps("report", sweep_id).stdout
    assert (outside.folder / "results" / sweep_id / "report.html").exists()
    assert outside.sweeps("logs", sweep_id).stdout.count("completed") == 8
    assert sweep_id in outside.sweeps("list").stdout


def count(status: dict[str, Any], state: str) -> int:
    return sum(arm["num_by_state"].get(state, 0) for arm in status["arms"])


def test_a_check_that_fails_on_the_cluster_is_told_at_once(outside: Outside, file: Path, tmp_path: Path) -> None:
    done = outside.sweeps(
        "submit",
        str(file),
        *("--address", outside.address, "--storage", str(tmp_path), "--set", "resources.cpu=64"),
    )
    assert done.returncode == 2
    assert "a trial asks for 64 CPU" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RAY_AUTH_TOKEN": "another-token-0123456789"}, "refuses our token"),
        ({"RAY_AUTH_MODE": "disabled"}, "refuses our token"),
    ],
)
def test_a_token_that_does_not_fit_is_one_sentence(
    outside: Outside, file: Path, environment: dict[str, str], message: str
) -> None:
    done = outside.sweeps("submit", str(file), "--address", outside.address, **environment)
    assert done.returncode == 4, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_cluster_that_does_not_answer_is_one_sentence(outside: Outside, file: Path) -> None:
    done = outside.sweeps("submit", str(file), "--address", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert "no Ray Jobs API answers there" in done.stderr
    assert "check --address" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_address_is_an_error_that_says_how_to_give_one(outside: Outside, file: Path) -> None:
    done = outside.sweeps("submit", str(file))
    assert done.returncode == 2
    assert done.stderr == "which cluster? Give --address http://HEAD:8265, or set RAY_API_SERVER_ADDRESS\n"
