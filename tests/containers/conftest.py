import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, built and healthy, under a project name and a port of its own; all of it is removed at the end."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.fail("no Docker engine answers; start one (here: ../shared/tools/containers.sh up)")
    service = Service.prepare(tmp_path_factory.mktemp("docker"))
    remove = ("--profile", "client", "down", "--volumes", "--timeout", "10")
    service.compose(*remove)  # what a run that was killed left, whose volumes have other passwords
    try:
        service.compose("up", "--detach", "--wait", "--scale", "worker=2")
        yield service
    finally:
        service.compose(*remove, check=False)


def read_secret(service: Service, name: str) -> str:
    lines = Path(service.environment_file).read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))


@pytest.fixture(scope="session")
def mlflow_password(service: Service) -> str:
    return read_secret(service, "MLFLOW_PASSWORD")


@pytest.fixture(scope="session")
def ray_token(service: Service) -> str:
    return read_secret(service, "RAY_AUTH_TOKEN")
