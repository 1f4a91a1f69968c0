"""The service in containers, driven as a person would: through `docker compose`."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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

    @classmethod
    def prepare(cls, folder: Path) -> "Service":
        """A deployment with secrets and a port of its own, its image built; nothing runs yet."""
        for name in ("write-secrets.sh", ".env.example"):
            shutil.copy(ROOT / "docker" / name, folder / name)
        subprocess.run([folder / "write-secrets.sh"], check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (folder / ".env").open("a") as file:
            file.write(f"MLFLOW_PORT={port}\nMLFLOW_WORKERS=1\nBUILD_NETWORK=host\n")
        service = cls("sweeps-test", folder / ".env", port)
        service.compose("build", "--quiet")
        return service

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

    @contextmanager
    def of_another_image(self) -> Iterator["Service"]:
        """The same deployment from an image made anew, as after an upgrade."""
        image = "sweeps-test-upgraded"
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", image, "-"],
            input='FROM sweeps:latest\nLABEL org.opencontainers.image.version="upgraded"\n',
            text=True,
            check=True,
            capture_output=True,
        )
        environment = self.environment_file.with_name(".env.upgraded")
        environment.write_text(f"{self.environment_file.read_text()}SWEEPS_IMAGE={image}\n")
        upgraded = replace(self, environment_file=environment)
        try:
            upgraded.compose("up", "--detach", "--wait", "--no-build", "--scale", "worker=2")
            yield upgraded
        finally:
            self.compose("up", "--detach", "--wait", "--no-build", "--scale", "worker=2")
            subprocess.run(["docker", "image", "rm", image], check=False, capture_output=True)

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
