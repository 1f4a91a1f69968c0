"""What a sweep ran on: enough to repeat it, and nothing secret."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

VERSION = "0.1.0"
PACKAGES = ("sweeps", "ray", "torch", "torchvision", "optuna", "mlflow", "numpy", "scipy")


def describe_driver(cluster: Mapping[str, float]) -> dict[str, Any]:
    """What a driver of a sweep, the first or one that resumes it, was started with and runs on.

    Args:
        cluster: Ray's resources by name.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["sweeps", *sys.argv[1:]]) if _is_our_program(Path(sys.argv[0])) else "",
        "git_commit": read_git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _read_processor(),
        "num_cpus": os.cpu_count(),
        "cluster": {name: amount for name, amount in cluster.items() if name in ("CPU", "GPU", "memory")},
        "packages": {name: _read_version(name) for name in PACKAGES},
    }


def build_manifest(
    sweep_id: str, seed: int, ground: Mapping[str, Any], driver: Mapping[str, Any], plan: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the manifest of a sweep that begins.

    Args:
        sweep_id: The sweep.
        seed: The seed of its file.
        ground: What its results rest on: digests of the data set, of the split and of the user's own code.
        driver: As `describe_driver` has it.
        plan: What it is expected to come to; empty for none.
    """
    return {"sweep_id": sweep_id, "seed": seed, **driver, **ground, **({"plan": plan} if plan else {})}


def extend_manifest(begun: Mapping[str, Any], last: Mapping[str, Any], driver: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the manifest of a sweep that is resumed: what the first driver wrote, and an entry for each driver.

    Args:
        begun: The manifest of the first driver.
        last: The manifest of the one before.
        driver: The one that resumes it, as `describe_driver` has it.
    """
    first = {name: begun[name] for name in driver if name in begun}
    plan = {"plan": {**begun["plan"], "wall_seconds": None}} if begun.get("plan") else {}  # said of it in one go
    return {**begun, **plan, "drivers": [*last.get("drivers", [first]), dict(driver)]}


def read_git_commit() -> str | None:
    """The commit of the working directory, with "+changes" when files differ from it; None outside a repository."""
    if shutil.which("git") is None:
        return None
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--match=-", "--dirty=+changes"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None


def _is_our_program(path: Path) -> bool:
    """Whether a process was started as `sweeps`, or as `python -m sweeps.cli`."""
    return path.name == "sweeps" or path.parts[-3:] == ("sweeps", "cli", "__main__.py")


def _read_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


PINNED = ("ray", "torch")  # must be the same everywhere: objects and checkpoints pass between processes


def list_packages() -> list[str]:
    """The folders of our packages, to be shipped to a cluster that need not have them."""
    code = Path(__file__).parents[1]
    return [str(code / name) for name in ("sweeps", "trainer", "tracking")]


def describe_versions() -> dict[str, str]:
    """What has to be the same on every machine of a sweep."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: _find_version(name) for name in PINNED}}


def _find_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
