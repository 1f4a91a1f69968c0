"""What the files under docker/ have to agree on, with each other and with the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def locked_version(package: str) -> str:
    found = re.search(rf"^{package}==(.+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_the_clusters_on_kubernetes_have_the_locked_ray_and_a_token() -> None:
    cluster = load(DOCKER / "kuberay" / "raycluster.yaml")["spec"]
    job = load(DOCKER / "kuberay" / "rayjob.yaml")["spec"]["rayClusterSpec"]
    for spec in (cluster, job):
        assert spec["rayVersion"] == locked_version("ray")
        assert spec["authOptions"] == {"mode": "token"}
        groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        for group in groups:
            pod = group["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            (container,) = pod["containers"]
            assert container["resources"]["limits"]["memory"]
            assert "/results" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_every_secret_that_compose_wants_is_written_by_make_up() -> None:
    text = (DOCKER / "compose.yaml").read_text()
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    script = (DOCKER / "write-secrets.sh").read_text()
    found = re.search(r"for name in ([A-Z_ ]+);", script)
    assert found
    assert wanted == set(found[1].split())
    example = (DOCKER / ".env.example").read_text()
    for name in sorted(set(re.findall(r"\$\{(\w+)", text)) - {"SWEEPS_IMAGE", "POSTGRES_IMAGE"}):
        assert name in example or name in ("BUILD_NETWORK", "MLFLOW_WORKERS", "MLFLOW_MEMORY"), name


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_nothing_is_published_but_on_loopback(name: str) -> None:
    services = load(DOCKER / name)["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_is_built_from_the_lock_as_somebody_who_is_not_root() -> None:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    assert "COPY requirements.lock /build/" in lines
    assert lines.index("USER sweeps") > lines.index("COPY sweeps /opt/code/sweeps")
