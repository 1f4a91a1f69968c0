"""The service in containers, driven as a person would: through `docker compose`."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
WAIT_SECONDS = 400.0

# Small, and long enough to be disturbed: 2 arms x 3 trials x 12 epochs of a few seconds.
SMALL = (
    "parameters.dataset=synthetic",
    "parameters.train_size=2000",
    "parameters.epochs=12",
    "parameters.width=0.25",
    "early_terminate=null",
    "budget.trials_per_arm=3",
    "parameters.optimizer={choices: {sgd: {lr: 0.1}, adam: {lr: 0.001}}}",
)


@dataclass(frozen=True)
class Service:
    """One deployment: a compose project with its own secrets and volumes."""

    project: str
    environment_file: Path
    port: int

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--file", str(COMPOSE_FILE), "--project-name", self.project]
        done = subprocess.run(
            [*command, "--env-file", str(self.environment_file), *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def sweeps(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the `sweeps` command in the client's container."""
        return self.compose("run", "--rm", "sweep", *arguments, check=check)

    def submit(self, *overrides: str) -> str:
        """Submits the small sweep; its id."""
        sets = [part for override in (*SMALL, *overrides) for part in ("--set", override)]
        submission = json.loads(self.sweeps("submit", "quickstart.yaml", "--json", *sets).stdout)
        assert submission["status"] == "RUNNING"
        return str(submission["sweep_id"])

    def status(self, sweep_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.sweeps("status", sweep_id, "--json").stdout)
        return found

    def wait(self, sweep_id: str, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status once it is as wanted."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not ready(status := self.status(sweep_id)):
            assert time.monotonic() < deadline, status
        return status

    def wait_for_end(self, sweep_id: str, state: str = "completed") -> dict[str, Any]:
        status = self.wait(sweep_id, lambda status: status["state"] != "running")
        assert status["state"] == state, self.sweeps("logs", sweep_id, check=False).stdout
        return status

    def containers(self) -> list[dict[str, Any]]:
        """What the engine knows of each container."""
        identifiers = self.compose("ps", "--quiet").stdout.split()
        done = subprocess.run(["docker", "inspect", *identifiers], capture_output=True, text=True, check=True)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def of_service(self, name: str) -> list[dict[str, Any]]:
        labels = "com.docker.compose.service"
        return [each for each in self.containers() if each["Config"]["Labels"][labels] == name]


def count_states(status: dict[str, Any], state: str) -> int:
    """Search trials in a state, over all arms."""
    return sum(arm["num_by_state"].get(state, 0) for arm in status["arms"])


def run_in(container: dict[str, Any], *command: str) -> str:
    """What a command prints in a container."""
    done = subprocess.run(["docker", "exec", container["Id"], *command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
