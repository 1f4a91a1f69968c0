"""What the files under docker/ have to agree on, with each other and with the code."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
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


# What KubeRay 1.5 takes of the fields used here (ray-operator, {raycluster,rayjob}_types.go). Any other field
# is refused, as the API server does with a misspelt one. Pods are Kubernetes' own and are held to its schema below.
STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
GROUP = {"rayStartParams": STRINGS, "template": {"type": "object", "required": ["spec"]}}
WORKERS = {
    "groupName": {"type": "string"},
    "replicas": {"type": "integer", "minimum": 0},
    "minReplicas": {"type": "integer", "minimum": 0},
    "maxReplicas": {"type": "integer", "minimum": 0},
    **GROUP,
}


def closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


CLUSTER = closed(
    {
        "rayVersion": {"type": "string"},
        "enableInTreeAutoscaling": {"type": "boolean"},
        "authOptions": closed({"mode": {"enum": ["disabled", "token"]}}, []),
        "headGroupSpec": closed(GROUP, ["template"]),
        "workerGroupSpecs": {"type": "array", "items": closed(WORKERS, ["groupName", "template"])},
    },
    ["headGroupSpec"],
)
JOB = closed(
    {
        "entrypoint": {"type": "string"},
        "shutdownAfterJobFinishes": {"type": "boolean"},
        "ttlSecondsAfterFinished": {"type": "integer", "minimum": 0},
        "runtimeEnvYAML": {"type": "string"},
        "rayClusterSpec": CLUSTER,
    },
    [],
)


@pytest.mark.parametrize(
    ("name", "kind", "schema"), [("raycluster.yaml", "RayCluster", CLUSTER), ("rayjob.yaml", "RayJob", JOB)]
)
def test_kuberay_and_kubernetes_know_every_field(name: str, kind: str, schema: dict[str, Any]) -> None:
    content = load(DOCKER / "kuberay" / name)
    assert (content["apiVersion"], content["kind"]) == ("ray.io/v1", kind)
    assert set(content) == {"apiVersion", "kind", "metadata", "spec"}
    jsonschema.validate(content["spec"], schema)
    cluster = content["spec"].get("rayClusterSpec", content["spec"])
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        validate_pod(group["template"]["spec"])
        for container in group["template"]["spec"]["containers"]:
            volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def validate_pod(spec: dict[str, Any]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": spec}
    kubernetes_validate.validate(pod, "1.33", strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    spec = load(DOCKER / "kuberay" / "raycluster.yaml")["spec"]["headGroupSpec"]["template"]["spec"]
    spec["containers"][0]["securityContexts"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="securityContexts"):
        validate_pod(spec)


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


def test_the_head_has_the_password_that_jobs_take_from_it() -> None:
    environment = load(DOCKER / "compose.yaml")["services"]["head"]["environment"]
    assert {"MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"} <= set(environment)
    for cluster in (
        load(DOCKER / "kuberay" / "raycluster.yaml")["spec"],
        load(DOCKER / "kuberay" / "rayjob.yaml")["spec"]["rayClusterSpec"],
    ):
        (container,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
        assert {"secretRef": {"name": "sweeps-mlflow"}} in container["envFrom"]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_nothing_is_published_but_on_loopback(name: str) -> None:
    services = load(DOCKER / name)["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_is_built_from_the_lock_as_somebody_who_is_not_root() -> None:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    assert "COPY requirements.lock /build/" in lines
    assert lines.index("USER sweeps") > lines.index("COPY sweeps /opt/code/sweeps")
