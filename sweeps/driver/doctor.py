"""Whether this machine can run sweeps: each thing that a sweep needs, what was found, and what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from sweeps.driver.preflight import check_storage
from sweeps.errors import SweepError, first_line
from sweeps.home import Home
from tracking.analysis.labels import format_bytes

LOCK = Path(__file__).parents[2] / "requirements.lock"
INSTALL = "`PIP_CONSTRAINT=requirements.lock pip install -e .` in the folder of the code"
WANTED_FREE_BYTES = 2 * 2**30
WANTED_MEMORY_BYTES = 2**30  # of a trial of the default network, with what torch itself takes
MAX_SKEW_SECONDS = 5.0
MAX_NAMED = 5  # packages in one sentence


class Health(StrEnum):
    """How a thing is."""

    GOOD = "ok"
    NOTE = "note"  # sweeps run, but slower, or not as elsewhere
    BAD = "bad"  # no sweep runs


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What, in a word.
        health: How it is.
        found: What was found.
        remedy: What to do; empty where all is well.
    """

    subject: str
    health: Health
    found: str
    remedy: str = ""


def examine(home: Home, *, start_ray: bool = True) -> Iterator[Finding]:
    """Yields what is found, in the order of what rests on what; a look that fails is a finding too.

    Args:
        home: Where results would go.
        start_ray: Whether Ray is really started, or joined, which takes some seconds.
    """
    looks: dict[str, Callable[[], Finding]] = {
        "Python": _look_at_python,
        "packages": _look_at_packages,
        "torch": _look_at_torch,
        "memory": _look_at_memory,
        "disk": lambda: _look_at_disk(home),
        "clock": lambda: _look_at_clock(home),
        "data set": _look_at_data,
        "MLflow": lambda: _look_at_tracking(home),
        "port": _look_at_port,
        "Ray": lambda: _look_at_ray(start=start_ray),
    }
    for subject, look in looks.items():
        try:
            yield look()
        except Exception as error:  # noqa: BLE001  # whatever is broken is what the doctor is asked for
            found = str(error) if isinstance(error, SweepError) else f"{type(error).__name__}: {first_line(error)}"
            yield Finding(subject, Health.BAD, found, "" if isinstance(error, SweepError) else INSTALL)


def _look_at_python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.python_version_tuple()[:2] != ("3", "11"):
        return Finding("Python", Health.BAD, found, "use Python 3.11; `make setup` makes an environment of it")
    return Finding("Python", Health.GOOD, found)


def _look_at_packages() -> Finding:
    if not LOCK.exists():
        remedy = "run it from a checkout to compare the versions with requirements.lock"
        return Finding("packages", Health.NOTE, "requirements.lock is not beside the code", remedy)
    return compare_packages(LOCK.read_text("utf-8"), {each.name: each.version for each in metadata.distributions()})


def compare_packages(lock: str, installed: Mapping[str, str]) -> Finding:
    """How the installed packages differ from those of a lock file.

    Args:
        lock: Its text: `name==version` on each line.
        installed: Version of each package, by its name.
    """
    pinned = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, re.MULTILINE))
    have = {_normalize(name): version for name, version in installed.items()}
    differing = [
        f"{name} {have[_normalize(name)]} ({version} there)"
        for name, version in pinned.items()
        if _normalize(name) in have and _strip_local(have[_normalize(name)]) != _strip_local(version)
    ]
    missing = [name for name in _list_needed(installed) if _normalize(name) not in have]
    if missing:
        return Finding("packages", Health.BAD, f"not installed: {_name_some(missing)}", INSTALL)
    if differing:
        found = f"{len(differing)} are not as in requirements.lock: {_name_some(differing)}"
        return Finding("packages", Health.NOTE, found, f"{INSTALL} gives those that the tests ran with")
    return Finding("packages", Health.GOOD, f"all that are installed of the {len(pinned)} in requirements.lock agree")


def _list_needed(installed: Mapping[str, str]) -> list[str]:
    """What sweeps itself asks for, as far as it is installed as a package."""
    if "sweeps" not in installed:
        return []
    needed = [each for each in metadata.requires("sweeps") or () if "extra ==" not in each]
    return [found.group() for each in needed if (found := re.match(r"[A-Za-z0-9._-]+", each))]


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _strip_local(version: str) -> str:
    """A version without its build: torch 2.14.1+cpu is torch 2.14.1."""
    return version.partition("+")[0]


def _name_some(names: list[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _look_at_torch() -> Finding:
    from trainer.loop.compute import describe_units

    units = describe_units()
    cuda = units["cuda"]
    place = f"CUDA: {', '.join(map(str, cuda))}" if isinstance(cuda, list) and cuda else "no CUDA"
    found = f"{units['version']}, {place}, {units['vector']}, {os.cpu_count()} cores; trains in {units['precision']}"
    if units["precision"] == "bf16":
        return Finding("torch", Health.GOOD, found)
    remedy = "no units for bf16, so that trials take about twice as long; every result is as good"
    return Finding("torch", Health.NOTE, found, remedy)


def _look_at_memory() -> Finding:
    free, cores = _read_free_memory(), os.cpu_count() or 1
    if free is None:
        return Finding("memory", Health.NOTE, "this system does not say how much is free")
    found = f"{format_bytes(free)} free for {cores} trials at a time"
    if free < WANTED_MEMORY_BYTES * min(cores, 2):
        return Finding(
            "memory", Health.NOTE, found, "end other programs, or set `resources: {cpu: 2}` for fewer trials"
        )
    return Finding("memory", Health.GOOD, found)


def _read_free_memory() -> int | None:
    """Bytes that this process and its children may still take: of the machine, or of its control group."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    except OSError:
        return None
    free = int(lines["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except OSError:
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def _look_at_disk(home: Home) -> Finding:
    existed = home.path.exists()
    check_storage(home.path)
    free = shutil.disk_usage(home.path).free
    if not existed:
        home.path.rmdir()
    found = f"{home.path} can be written, {format_bytes(free)} free"
    if free < WANTED_FREE_BYTES:
        return Finding("disk", Health.NOTE, found, "`sweeps plan FILE` says what a sweep takes; free some")
    return Finding("disk", Health.GOOD, found)


def _look_at_clock(home: Home) -> Finding:
    """This machine's clock beside that of the disk, which may be another machine's, and of MLflow's server."""
    from tracking.store.clock import measure_skew

    skews = {"the results folder": _measure_disk_skew(home.path), "MLflow's server": measure_skew(home.tracking_uri)}
    known = {name: seconds for name, seconds in skews.items() if seconds is not None}
    wrong = [
        f"{abs(s):.0f} s {'behind' if s > 0 else 'ahead of'} {name}"
        for name, s in known.items()
        if abs(s) > MAX_SKEW_SECONDS
    ]
    if wrong:
        remedy = "set the clocks by NTP: a driver whose clock is wrong is taken for dead"
        return Finding("clock", Health.NOTE, f"it is {' and '.join(wrong)}", remedy)
    return Finding("clock", Health.GOOD, f"it agrees with {' and '.join(known) or 'itself; nothing else was asked'}")


def _measure_disk_skew(folder: Path) -> float | None:
    """Seconds that the clock of the disk is ahead of ours; None where it cannot be said."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    marker = place / f".clock-{os.getpid()}"
    try:
        marker.touch()
        now = time.time()
        skew = marker.stat().st_mtime - now
        marker.unlink()
    except OSError:
        return None
    return skew


def _look_at_data() -> Finding:
    from trainer.data.load import find_cache, list_missing

    folder = find_cache()
    missing = list_missing("cifar10", folder)
    if not missing:
        return Finding("data set", Health.GOOD, f"CIFAR-10 is in {folder}")
    fault = _reach(missing[0])
    if fault is None:
        return Finding(
            "data set", Health.GOOD, f"CIFAR-10 is not in {folder} yet; its server answers, 170 MB are fetched once"
        )
    name = missing[0].rpartition("/")[2]
    remedy = f"put {name} (from {missing[0]}) into {folder}, or write `fallback: synthetic` to try without"
    return Finding(
        "data set", Health.NOTE, f"CIFAR-10 is not in {folder}, and its server gives no answer ({fault})", remedy
    )


def _reach(url: str) -> str | None:
    """Why a server does not answer; None where it does."""
    from trainer.data.downloads import check_server

    try:
        check_server(url)
    except OSError as error:
        return first_line(getattr(error, "reason", None) or error)  # urllib wraps what the network said
    return None


def _look_at_tracking(home: Home) -> Finding:
    from tracking.store.connection import TrackingUnavailable, check_tracking, hide_password, is_new_store

    uri = home.tracking_uri
    if is_new_store(uri):
        return Finding("MLflow", Health.GOOD, f"{hide_password(uri)} is made by the first sweep")
    try:
        check_tracking(uri, 30.0)
    except TrackingUnavailable as error:
        return Finding("MLflow", Health.BAD, str(error))  # with what to do
    version = metadata.version("mlflow")
    return Finding("MLflow", Health.GOOD, f"{hide_password(uri)} answers, with the schema of MLflow {version}")


def _look_at_port() -> Finding:
    from tracking.store.connection import TrackingUnavailable
    from tracking.store.ui import check_free

    try:
        check_free(5000)
    except TrackingUnavailable as error:
        return Finding("port", Health.NOTE, str(error), "`sweeps ui --port 5001`, or end what has it")
    return Finding("port", Health.GOOD, "5000 is free for `sweeps ui`")


def _look_at_ray(*, start: bool) -> Finding:
    from sweeps.driver.cluster import borrow_ray, check_cluster, count_slots_now, start_ray
    from sweeps.spec.models import Resources

    address, version = os.environ.get("RAY_ADDRESS"), metadata.version("ray")
    where = f"the cluster at {address} (RAY_ADDRESS)" if address else "this machine"
    check_cluster()
    if not start:
        answer = f"{where} answers" if address else "it was not started, to see whether it does"
        return Finding("Ray", Health.GOOD, f"{version}; {answer}")
    with borrow_ray(for_trials=False):
        resources = start_ray(0)
        slots = count_slots_now(Resources())
    found = f"{version}; {where} runs {slots} trials at a time on {resources.get('CPU', 0):g} cores"
    gpus = resources.get("GPU", 0)
    return Finding("Ray", Health.GOOD, found + (f" and {gpus:g} GPUs" if gpus else ""))
