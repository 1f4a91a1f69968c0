"""A sweep over two machines: network namespaces with an address each, joined by a cable that can be pulled."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from sweeps.home import Home
from sweeps.spec import SweepSpec
from tracking.names import TrialState
from tracking.store.queries import load_sweep

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # an end to end run on a machine that runs other tests beside it
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and iproute2"
    ),
]

HEAD, OTHER = "10.213.7.1", "10.213.7.2"  # seen only inside the namespaces
GCS = f"{HEAD}:6379"
WAIT_SECONDS = 150.0
# The token is set on every node: unset, Ray's processes would not agree on whether they want one. A lost node is
# noticed within seconds, not within half a minute.
RAY = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "a-token-of-the-tests-own-0123456789",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def namespace(name: str) -> Iterator[None]:
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield
    finally:
        ip("netns", "delete", name)


@contextmanager
def node(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Ray node in a namespace."""
    command = ["ip", "netns", "exec", name, str(Path(sys.executable).with_name("ray")), "start", "--block"]
    command += ["--num-cpus=1", "--disable-usage-stats", "--object-store-memory=200000000", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment | RAY, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            for each in family:
                if each.is_running():
                    each.terminate()


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    first, second = f"sweep-a-{os.getpid()}", f"sweep-b-{os.getpid()}"
    with namespace(first), namespace(second):
        ip("-n", first, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second)
        for name, address in ((first, HEAD), (second, OTHER)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        yield first, second


def wait_for(what: str, ready: Callable[[], bool], driver: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        assert driver is None or driver.poll() is None, f"the driver ended before {what}: {driver.communicate()}"
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)


def runs_a_trial(process: subprocess.Popen[bytes]) -> bool:
    family = psutil.Process(process.pid).children(recursive=True)
    return any("Trainable" in "".join(each.cmdline()) for each in family if each.status() != psutil.STATUS_ZOMBIE)


# SGD that holds every trial after two epochs of ten steps until the test lets it go: what follows does not depend on
# how fast the machine is.
HELD = """
import pathlib
import time

import torch


class HeldSGD(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.num_steps = 0

    def step(self, closure=None):
        self.num_steps += 1
        while self.num_steps > 20 and pathlib.Path("{hold}").exists():
            time.sleep(0.1)
        return super().step(closure)
"""


def test_a_node_that_joins_is_used_and_being_cut_off_costs_no_trial(
    machines: tuple[str, str], home: Home, build_spec: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    build_spec()
    first, second = machines
    hold = tmp_path / "hold"
    hold.touch()
    (tmp_path / "held.py").write_text(HELD.format(hold=hold))
    join = [f"--address={GCS}", f"--node-ip-address={OTHER}", "--temp-dir=/tmp/ray-node-b"]
    sets = ["early_terminate=null", "budget.trials_per_arm=3", "confirm.top=0", "compare=null"]
    sets += ["parameters.optimizer=held:HeldSGD", "parameters.batch_size=32"]
    command = [sys.executable, "-m", "sweeps.cli", "run", str(tmp_path / "small.yaml"), "--json", "--no-measure"]
    command += [part for override in sets for part in ("--set", override)]
    with ExitStack() as stack:
        head = ["--head", "--port=6379", f"--node-ip-address={HEAD}", "--temp-dir=/tmp/ray-node-a"]
        stack.enter_context(node(first, *head, "--include-dashboard=false"))
        wait_for("the head", lambda: answers(first))
        driver = stack.enter_context(
            subprocess.Popen(
                ["ip", "netns", "exec", first, *command],
                env=os.environ | RAY | {"RAY_ADDRESS": GCS},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(driver.kill)
        wait_for("a trial's second epoch", lambda: 2 in epochs_by_trial(home).get("all-000", []), driver)
        other = stack.enter_context(node(second, *join))
        wait_for("a trial on the node that joined", lambda: runs_a_trial(other), driver)
        wait_for("its second epoch", lambda: 2 in epochs_by_trial(home).get("all-001", []), driver)

        ip("-n", second, "link", "set", "cable", "down")
        log = next(home.path.glob("*/journal.jsonl")).parent / "logs" / "driver.log"
        wait_for("the loss to be noticed", lambda: log.exists() and "its process was lost" in log.read_text(), driver)
        ip("-n", second, "link", "set", "cable", "up")
        other.wait(WAIT_SECONDS)  # a node that was given up ends by itself
        back = stack.enter_context(node(second, *join))
        wait_for("a trial on the node that came back", lambda: runs_a_trial(back), driver)
        hold.unlink()
        output, errors = driver.communicate(timeout=3 * WAIT_SECONDS)

    assert driver.returncode == 0, output + errors
    table = load_sweep(json.loads(output)["sweep_id"], home.tracking_uri)
    assert [trial.state for trial in table.trials] == [TrialState.COMPLETED] * 3
    for trial in table.trials:
        assert [epoch for epoch, _ in trial.history["val_accuracy"]] == [1, 2, 3, 4]


def epochs_by_trial(home: Home) -> dict[str, list[int]]:
    """What the sweep's journal holds so far."""
    found: dict[str, list[int]] = {}
    for file in home.path.glob("*/journal.jsonl"):
        for line in file.read_text().splitlines(keepends=True):
            event = json.loads(line) if line.endswith("\n") else {}
            if event.get("kind") == "epoch":
                found.setdefault(event["trial_id"], []).append(event["content"]["epoch"])
    return found


def answers(name: str) -> bool:
    program = f"import socket; socket.create_connection(('{HEAD}', 6379), 1)"
    command = ["ip", "netns", "exec", name, sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
