"""Whether a Ray cluster of our version answers at RAY_ADDRESS, found out before Ray connects.

Ray itself would wait for an address that nobody answers without end, and write its log to the terminal meanwhile.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from sweeps.environment import describe_versions
from sweeps.errors import Unreachable, first_line

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
_REMEDY = "check the address, HOST:PORT of the cluster's head, or unset RAY_ADDRESS to run on this machine"


def check_ray_address(address: str) -> None:
    """Returns when a cluster answers that runs our versions, or when Ray is to look for one or to start one.

    Args:
        address: As in RAY_ADDRESS: HOST:PORT, `auto` or `local`.

    Raises:
        Unreachable: When none does, within CONNECT_SECONDS + ANSWER_SECONDS.
    """
    from ray._private.services import canonicalize_bootstrap_address

    if "://" in address:
        raise Unreachable(
            f"RAY_ADDRESS={address}: a sweep's driver joins its cluster as a node does, at HOST:PORT without ://; "
            "`sweeps submit --address http://HEAD:8265` hands a sweep to a cluster from outside"
        )
    try:
        place = canonicalize_bootstrap_address(address)  # of `auto`: the one that was started on this machine
    except (ValueError, OSError) as error:
        raise Unreachable(f"RAY_ADDRESS={address}: {first_line(error)}; {_REMEDY}") from error
    if place is not None and (fault := _find_fault(place)):
        where = address if place == address else f"{address} ({place})"
        raise Unreachable(f"RAY_ADDRESS={where}: {fault}")


def _find_fault(place: str) -> str:
    """What keeps us from joining, and what to do; "" for nothing."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS:g} s; {_REMEDY}"
    except OSError as error:
        return f"nothing answers there ({error.strerror or first_line(error)}); {_REMEDY}"
    except (ValueError, OverflowError):
        return f"{port} is not a port; {_REMEDY}"
    answer = _ask_versions(place)
    if isinstance(answer, str):
        return answer
    ours = describe_versions()
    theirs = {
        "ray": answer.get("ray_version", "?"),
        "python": ".".join(answer.get("python_version", "?").split(".")[:2]),
    }
    wrong = [f"{name} {found} there, {ours[name]} here" for name, found in theirs.items() if found != ours[name]]
    return f"{', '.join(wrong)}; install the same versions (requirements.lock) on both sides" if wrong else ""


def _ask_versions(place: str) -> dict[str, Any] | str:
    """What the cluster says of itself, or in words why it says nothing."""
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

    channel = init_grpc_channel(place, options=[("grpc.enable_http_proxy", 0)])  # with the token, if there is one
    request = gcs_service_pb2.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA")
    try:
        reply = gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel).InternalKVGet(request, timeout=ANSWER_SECONDS)
        return dict(json.loads(reply.value))
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return "the cluster refuses our token; set RAY_AUTH_MODE and RAY_AUTH_TOKEN to the cluster's"
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"something listens there, but gives no answer within {ANSWER_SECONDS:g} s; {_REMEDY}"
        return f"what answers there is not the head of a Ray cluster; {_REMEDY}"
    except (ValueError, TypeError):
        return f"the cluster there is still starting, or is of another version; {_REMEDY}"
    finally:
        channel.close()
