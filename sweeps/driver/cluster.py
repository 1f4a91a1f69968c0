"""Starting or joining Ray, quietly, and whether its resources suffice. Imported only by the driver."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.driver.forking.start import ForkServer, can_fork
from sweeps.driver.interrupts import ours_while_ray_starts
from sweeps.driver.ray_address import check_ray_address
from sweeps.environment import describe_versions, list_packages
from sweeps.errors import BadUsage, Unreachable, first_line
from trainer.working_directory import OWN_CODE_VARIABLE

if TYPE_CHECKING:
    from sweeps.spec import Resources

_MEBIBYTE = 2**20
_QUIET: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False, "configure_logging": True}
JOB_CONFIG_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the entrypoint of a submitted job
JOIN_SECONDS = 90.0  # how long to wait for the first node that trains, as after the head was restarted
NODE_SECONDS = 60.0  # how long a node may take to start a process and look at a file

# What a process imports before Ray gives it an actor, in the seconds in which the driver still prepares. A process that
# has run a task gets no actor, so a task cannot do it, and one with a runtime environment neither: see
# `without_runtime_environment`. (Ray 2.60, worker_pool.cc and default_worker.py)
_PRELOAD_VARIABLE = "RAY_preload_python_modules"
_PRELOADED = "ray.tune,torch,torch._dynamo"
_own_nodes: list[Any] = []  # Ray's, of the local Ray that was started here last

# What the processes of a local Ray are forks of has imported: what a trial needs, and what Ray Tune imports but Ray.
_FORKED = ("torch", "torch._dynamo", "pandas", "pyarrow.dataset", "pyarrow.fs", "fsspec", "requests", "pydantic")
_fork_servers: list[ForkServer] = []  # at most one, of the local Ray that is started or about to be

# Read by Ray when it is imported or by its processes when they start; what the user has set stays.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # Tune's CSV, JSON and TensorBoard files: 1,160 against 570 results/s
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver handles SIGINT and SIGTERM and passes them on as SIGUSR1
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial reports no metric, which would end the whole sweep
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",  # Tune's own snapshots: a sweep is resumed from its journal
    # Trials whose process starts, all at once: the searcher proposes no more than fit. Else it is one after another.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def import_ray() -> None:
    """Imports Ray, without Ray Tune, which takes longer; nothing is started."""
    _set_environment()
    import ray  # noqa: F401


def import_tune() -> None:
    """Imports Ray Tune, which takes a second or more."""
    _set_environment()
    import ray.tune  # noqa: F401


def start_ray(data_bytes: int, *, preload: bool = False) -> dict[str, float]:
    """Joins the cluster of `RAY_ADDRESS`, which has been checked, or starts Ray here; returns the cluster's resources.

    Args:
        data_bytes: Size of the data set, which the object store of a local Ray must hold.
        preload: Whether each process that a local Ray starts by itself, one a core, imports what a trial needs.

    Raises:
        Unreachable: When the cluster cannot be joined, or a local Ray does not start.
    """
    _set_environment()
    import ray

    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        with ours_while_ray_starts():
            if address:
                _join_ray(address)
            else:
                if preload:
                    os.environ.setdefault(_PRELOAD_VARIABLE, _PRELOADED)
                with _fork_servers[0].used_by_ray() if _fork_servers else nullcontext():
                    _start_local_ray(data_bytes)
    logging.getLogger("ray").setLevel(logging.ERROR)
    return dict(ray.cluster_resources())


def check_cluster() -> None:
    """Returns when the cluster of RAY_ADDRESS answers, or none is to be joined; nothing is started.

    Raises:
        Unreachable: When it does not answer within seconds.
    """
    address, loaded = os.environ.get("RAY_ADDRESS"), sys.modules.get("ray")
    if address and not (loaded is not None and loaded.is_initialized()):
        _set_environment()
        check_ray_address(address)


def _set_environment() -> None:
    os.environ[OWN_CODE_VARIABLE] = _own_code()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _own_code() -> str:
    """The folders in which this process looks for the user's modules."""
    script = str(Path(sys.argv[0]).resolve().parent)
    return os.pathsep.join([*([script] if script in sys.path else []), str(Path.cwd())])


def _build_job_config() -> Any:
    """Has the workers look for libraries where they are installed, and not in the driver's folders before that."""
    from ray.job_config import JobConfig

    class OwnCodeLast(JobConfig):  # type: ignore[misc]
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # what Ray asks before it puts the driver's folders first; nothing else asks for it

    return OwnCodeLast()


def _join_ray(address: str) -> None:
    import ray

    code: dict[str, Any] = {"py_modules": list_packages(), "env_vars": {OWN_CODE_VARIABLE: _own_code()}}
    own_code = {"runtime_env": code} if JOB_CONFIG_VARIABLE not in os.environ else {}
    try:
        # A submitted job brings the code already.
        ray.init(address=address, job_config=_build_job_config(), **own_code, **_QUIET)
    except Exception as error:  # Ray raises a bare Exception, too
        ray.shutdown()
        raise Unreachable(
            f"RAY_ADDRESS={address}: this machine could not join the cluster ({first_line(error)}); check that a node "
            "of it runs here (`ray start --address=...`), or unset RAY_ADDRESS to run on this machine alone"
        ) from error


def _start_local_ray(data_bytes: int) -> None:
    """Tries again once: on a busy machine Ray's processes may take longer to start than Ray waits for them."""
    import ray

    for is_last in (False, True):
        try:
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=2 * data_bytes + 256 * _MEBIBYTE,
                _node_ip_address="127.0.0.1",  # servers of a local Ray listen on loopback only
                job_config=_build_job_config(),
                **_QUIET,
            )
        except Exception as error:  # Ray raises a bare Exception, too
            ray.shutdown()
            if is_last:
                folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"
                raise Unreachable(
                    f"a local Ray did not start, tried twice ({first_line(error)}); its logs are in "
                    f"{folder}/session_latest/logs; free memory, or set RAY_TMPDIR to a short path that can be written"
                ) from error
        else:
            _own_nodes[:] = [ray._private.worker._global_node]
            return


@contextmanager
def without_runtime_environment() -> Iterator[None]:
    """Has Tune take the processes that a local Ray has started and that have imported what a trial needs.

    Tune gives each of its actors a runtime environment, of variables that the driver's environment has. No process that
    Ray has started ahead has one, so Ray would start others and end those, when they have imported all in vain. The
    processes of a Ray that `start_ray` has started have these variables anyway. To those of others, a notebook's own
    local Ray among them, Tune's are sent as ever. (Ray 2.60, tune/execution/class_cache.py)
    """
    import ray._private.worker
    from ray.tune.execution import class_cache

    if ray._private.worker._global_node not in _own_nodes:
        yield
        return
    original = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, frozenset()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = original


@contextmanager
def borrow_ray(*, for_trials: bool = True) -> Iterator[None]:
    """At its end leaves the cluster, or ends the local Ray, that was joined or started inside it.

    A Ray that the caller had before, as in a notebook, is used and stays.

    Args:
        for_trials: Whether trials will run, so that a process begins at once to import what they need.
    """
    loaded = sys.modules.get("ray")
    was_there = loaded is not None and loaded.is_initialized()
    if for_trials and can_fork() and not was_there and "RAY_ADDRESS" not in os.environ:
        _fork_servers.append(ForkServer(_FORKED))
    try:
        yield
    finally:
        if not was_there and (loaded := sys.modules.get("ray")) is not None:
            with suppress(KeyboardInterrupt):  # Ray is ended when the process is, at the latest
                loaded.shutdown()
        while _fork_servers and not was_there:
            _fork_servers.pop().close()


def count_slots(resources: Resources) -> int:
    """How many trials can run at a time; waits for nodes to join a cluster that has none for a trial so far.

    Raises:
        BadUsage: When not even one fits on any node; Ray would wait for ever.
    """
    deadline = time.monotonic() + (JOIN_SECONDS if "RAY_ADDRESS" in os.environ else 0.0)
    while True:
        if slots := count_slots_now(resources):
            return slots
        nodes = _list_resources()
        if time.monotonic() >= deadline or any(node.get("CPU", 0) for node in nodes):
            break
        time.sleep(1.0)
    has = "; ".join(f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes)
    raise BadUsage(
        f"resources: a trial asks for {resources.cpu} CPU and {resources.gpu:g} GPU, and no node has that much "
        f"(nodes: {has}); lower `resources`, or join a larger cluster with RAY_ADDRESS"
    )


def count_slots_now(resources: Resources) -> int:
    """How many trials the nodes that live now can run at a time."""
    return sum(_count_on_node(node, resources) for node in _list_resources())


def _list_resources() -> list[dict[str, float]]:
    """The resources of each living node."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _count_on_node(node: dict[str, float], resources: Resources) -> int:
    by_gpu = node.get("GPU", 0) / resources.gpu if resources.gpu else float("inf")
    return int(min(node.get("CPU", 0) / resources.cpu, by_gpu))


def check_nodes(home: Path) -> None:
    """Finds out whether every node of a joined cluster has our versions and reaches the results folder.

    Raises:
        BadUsage: When one does not; the message names the node.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    token = secrets.token_hex(8)
    marker = home / f".nodes-{token}"
    marker.write_text(token)
    look = ray.remote(num_cpus=0, max_retries=0)(_look_around)
    try:
        asked = {
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                str(marker)
            ): node["NodeManagerAddress"]
            for node in nodes
        }
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=NODE_SECONDS)
        faults = [f"{asked[each]}: no answer within {NODE_SECONDS:g} s; is it overloaded?" for each in silent]
        faults += [fault for each in answered if (fault := _find_node_fault(asked[each], each, token, home))]
    finally:
        for file in home.glob(f".nodes-{token}*"):
            file.unlink(missing_ok=True)
    if faults:
        raise BadUsage("\n".join(f"node {fault}" for fault in faults))


def _look_around(marker: str) -> tuple[dict[str, str], str, str]:
    """Runs on a node: its versions, what it reads in the marker, and why it cannot write beside it."""
    path = Path(marker)
    try:
        found = path.read_text()
    except OSError:
        return describe_versions(), "", ""
    try:
        path.with_name(f"{path.name}-{os.getpid()}-{secrets.token_hex(2)}").write_text("")
    except OSError as error:
        return describe_versions(), found, str(error.strerror)
    return describe_versions(), found, ""


def _find_node_fault(address: str, answer: Any, token: str, home: Path) -> str:
    """What keeps a node from taking part, "" for nothing."""
    import ray

    try:
        versions, found, problem = ray.get(answer)
    except ray.exceptions.RayError as error:
        return (
            f"{address}: cannot run our code ({str(error).strip().splitlines()[-1]}); install requirements.lock there"
        )
    wrong = [
        f"{name} {versions[name]} there, {ours} here"
        for name, ours in describe_versions().items()
        if versions[name] != ours
    ]
    if wrong:
        return f"{address}: {', '.join(wrong)}; install the same versions (requirements.lock) on all nodes"
    if found != token:
        return (
            f"{address}: does not see {home}; the results folder must be on storage that all nodes share: "
            "mount it there, or name another (SWEEPS_HOME, or `sweeps submit --storage`)"
        )
    return f"{address}: cannot write to {home} ({problem}); allow it there" if problem else ""
