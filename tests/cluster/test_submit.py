"""Sweeps handed to a real Ray cluster through its Jobs API, and looked after from outside."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from small_sweep import DECODED

from sweeps.spec import SweepSpec

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

TOKEN = "a-token-of-the-tests-own-0123456789"
ANN = "ann:a-password-of-ann-0123456789"
HEAD_FOLDER = Path("/tmp/ray-submit")
WAIT_SECONDS = 240.0


@dataclass(frozen=True)
class Outside:
    """A machine that reaches the cluster's Jobs API and MLflow, and shares no folder with either."""

    address: str
    folder: Path
    environment: dict[str, str]

    def sweeps(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sweeps.cli", *arguments]
        there = self.environment | environment
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env=there)

    def interrupt(self, word: str, *arguments: str) -> tuple[int, str, str]:
        """Ctrl+C once a command has printed a word: its exit code, and what it wrote to both of its outputs."""
        with subprocess.Popen(
            [sys.executable, "-m", "sweeps.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        ) as process:
            assert process.stdout is not None
            output = ""
            for line in process.stdout:
                output += line
                if word in line:
                    break
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=WAIT_SECONDS)
        return process.returncode, output + rest, errors

    def read_jobs(self) -> bytes:
        """What the Jobs API tells of all jobs."""
        request = urllib.request.Request(f"{self.address}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

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
        "SWEEPS_DATA": str(DECODED),
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
        [*command, f"--temp-dir={HEAD_FOLDER}"],  # short: the paths of sockets are
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
    arguments = ["--set", "parameters.epochs=8", "--set", "early_terminate=null"]
    storage = ("--address", outside.address, "--storage", str(tmp_path / "storage"))
    code, output, sentence = outside.interrupt("follow it:", "submit", str(file), *storage, *arguments, "--follow")
    assert code == 130, output + sentence
    sweep_id = output.split(":")[0]
    assert sentence == (
        f"interrupted; {sweep_id} goes on; follow it with: sweeps logs --follow {sweep_id}, "
        f"end it with: sweeps cancel {sweep_id}\n"
    )

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

    resumed = outside.sweeps("resume", sweep_id, *storage, "--follow")
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

    confirmed = outside.sweeps("confirm", sweep_id, "--seeds", "2", *storage, "--follow")
    assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
    status = outside.status(sweep_id)
    assert (status["state"], status["job"]) == ("completed", f"{sweep_id}-3")
    assert [arm["num_retrained"] for arm in status["arms"]] == [2, 2]


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


class KnowsAnn(BaseHTTPRequestHandler):
    """Refuses whoever is not Ann with 401, and whatever she asks for with a sentence that nobody else gets."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_ann = self.headers.get("Authorization") == f"Basic {base64.b64encode(ANN.encode()).decode()}"
        text = '{"error_code": "INVALID_PARAMETER_VALUE", "message": "hello Ann"}' if is_ann else "{}"
        self.send_response(400 if is_ann else 401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    """The port of what stands for an MLflow with passwords."""
    with ThreadingHTTPServer(("127.0.0.1", 0), KnowsAnn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("in_uri", [False, True], ids=["variables", "uri"])
def test_a_password_reaches_the_driver_and_is_in_no_record_of_ray(
    outside: Outside, file: Path, tmp_path: Path, server: int, *, in_uri: bool
) -> None:
    user, _, password = ANN.partition(":")
    environment = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{server}"
    if in_uri:
        environment = {"MLFLOW_TRACKING_URI": f"http://{ANN}@127.0.0.1:{server}"}
    command = ["submit", str(file), "--address", outside.address]

    refused = outside.sweeps(*command, **environment)
    assert refused.returncode == 2
    assert f"MLflow at http://127.0.0.1:{server}: the head of the cluster has no MLFLOW_TRACKING" in refused.stderr
    taken = outside.sweeps(*command, "--storage", str(tmp_path), "--follow", **environment)
    assert taken.returncode == 4, taken.stdout + taken.stderr
    assert "hello Ann" in taken.stdout
    assert list(tmp_path.glob(".credentials*")) == []

    records = [outside.read_jobs(), refused.stdout, refused.stderr, taken.stdout, taken.stderr]
    records += [path.read_bytes() for path in HEAD_FOLDER.rglob("*") if path.is_file()]
    text = b"".join(each if isinstance(each, bytes) else each.encode() for each in records)
    assert b"sweeps.cli.job" in text
    for secret in (password.encode(), base64.b64encode(ANN.encode())):
        assert secret not in text


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
