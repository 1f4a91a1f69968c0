"""Starting or joining Ray, quietly, and whether its resources suffice. Imported only by the driver."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from sweeps.errors import BadUsage, Unreachable

if TYPE_CHECKING:
    from sweeps.spec import Resources

_MEBIBYTE = 2**20

# Read by Ray when it is imported or by its processes when they start; what the user has set stays.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # Tune's CSV, JSON and TensorBoard files: 1,160 against 570 results/s
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver handles SIGINT and SIGTERM and passes them on as SIGUSR1
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial reports no metric, which would end the whole sweep
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def start_ray(data_bytes: int) -> dict[str, float]:
    """Joins the cluster of `RAY_ADDRESS` or starts Ray on this machine, and returns the cluster's resources.

    Args:
        data_bytes: Size of the data set, which the object store of a local Ray must hold.

    Raises:
        Unreachable: When the cluster does not answer.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": True}
    if not ray.is_initialized():
        try:
            if address:
                ray.init(address=address, **options)
            else:
                ray.init(
                    address="local",
                    include_dashboard=False,
                    object_store_memory=2 * data_bytes + 256 * _MEBIBYTE,
                    _node_ip_address="127.0.0.1",  # servers of a local Ray listen on loopback only
                    **options,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "a local Ray"
            remedy = "check the address, or unset RAY_ADDRESS to run on this machine" if address else "see /tmp/ray"
            raise Unreachable(f"could not start on {where}: {error}; {remedy}") from error
    return dict(ray.cluster_resources())


def stop_ray() -> None:
    """Leaves the cluster, or ends the local Ray."""
    import ray

    ray.shutdown()


def count_slots(resources: Resources) -> int:
    """How many trials can run at a time.

    Raises:
        BadUsage: When not even one fits on any node; Ray would wait for ever.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    slots = sum(
        int(min(node.get("CPU", 0) / resources.cpu, node.get("GPU", 0) / resources.gpu if resources.gpu else 1e9))
        for node in nodes
    )
    if slots == 0:
        has = "; ".join(f"{node.get('CPU', 0):g} CPU, {node.get('GPU', 0):g} GPU" for node in nodes)
        raise BadUsage(
            f"resources: a trial asks for {resources.cpu} CPU and {resources.gpu:g} GPU, and no node has that much "
            f"(nodes: {has}); lower `resources`, or join a larger cluster with RAY_ADDRESS"
        )
    return slots
