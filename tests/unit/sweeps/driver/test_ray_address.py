"""Addresses at which no Ray of ours answers."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest
import ray
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from sweeps.driver import ray_address
from sweeps.driver.ray_address import check_ray_address
from sweeps.environment import describe_versions
from sweeps.errors import Unreachable


@contextmanager
def listening(backlog: int = 5) -> Iterator[str]:
    """Takes connections and says nothing; with a `backlog` of 0 it takes one, and packets of others are dropped."""
    with socket.create_server(("", 0), backlog=backlog) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def http_server() -> Iterator[str]:
    with HTTPServer(("", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Head(gcs_service_pb2_grpc.InternalKVGcsServiceServicer):  # type: ignore[misc]
    """Answers what the head of a cluster does when it is asked for its versions."""

    def __init__(self, answer: bytes, refusal: grpc.StatusCode | None = None) -> None:
        self.answer = answer
        self.refusal = refusal

    def InternalKVGet(self, request: Any, context: Any) -> Any:  # noqa: N802
        assert (request.namespace, request.key) == (b"cluster", b"CLUSTER_METADATA")
        if self.refusal is not None:
            context.abort(self.refusal, "no")
        return gcs_service_pb2.InternalKVGetReply(value=self.answer)


@contextmanager
def grpc_server(head: Head | None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    if head is not None:
        gcs_service_pb2_grpc.add_InternalKVGcsServiceServicer_to_server(head, server)
    port = server.add_insecure_port("0.0.0.0:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def describe_cluster(ray_version: str, python_version: str) -> bytes:
    return json.dumps({"ray_version": ray_version, "python_version": python_version}).encode()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_address, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 2.0)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:9", "nothing answers there (Connection refused); check the address, HOST:PORT of the cluster's"),
        ("no-such-host.invalid:6379", "nothing answers there ("),
        ("127.0.0.1:port", "port is not a port; check the address"),
        ("head", "Invalid address format: head; check the address"),
        ("http://127.0.0.1:8265", "joins its cluster as a node does, at HOST:PORT without ://"),
        ("ray://127.0.0.1:10001", "joins its cluster as a node does, at HOST:PORT without ://"),
    ],
)
def test_an_address_that_nobody_answers_is_one_sentence(address: str, message: str) -> None:
    with pytest.raises(Unreachable) as caught:
        check_ray_address(address)
    text = str(caught.value)
    assert text.startswith(f"RAY_ADDRESS={address}")
    assert message in text
    assert "\n" not in text


def test_an_http_server_is_no_ray() -> None:
    with http_server() as address, pytest.raises(Unreachable, match="not the head of a Ray cluster; check the address"):
        check_ray_address(address)


def test_another_grpc_server_is_no_ray() -> None:
    with grpc_server(None) as address, pytest.raises(Unreachable, match="not the head of a Ray cluster"):
        check_ray_address(address)


def test_somebody_who_is_silent_is_not_waited_for() -> None:
    with (
        listening() as address,
        pytest.raises(Unreachable, match="something listens there, but gives no answer within"),
    ):
        check_ray_address(address)


def test_a_host_that_drops_packets_is_not_waited_for() -> None:
    with listening(backlog=0) as address:
        port = int(address.rpartition(":")[2])
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:  # fills the queue: the kernel drops what asks after that
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s; check the address"):
            check_ray_address(address)
        for each in waiting:
            each.close()


def test_a_cluster_of_another_version_is_named() -> None:
    python = describe_versions()["python"]
    head = Head(describe_cluster("2.9.1", f"{python}.99"))
    with grpc_server(head) as address, pytest.raises(Unreachable) as caught:
        check_ray_address(address)
    assert f"ray 2.9.1 there, {ray.__version__} here; install the same versions" in str(caught.value)
    assert "python" not in str(caught.value)


def test_a_cluster_that_wants_another_token_is_told() -> None:
    head = Head(b"", grpc.StatusCode.UNAUTHENTICATED)
    with grpc_server(head) as address, pytest.raises(Unreachable, match="the cluster refuses our token; set RAY_AUTH_"):
        check_ray_address(address)


def test_a_cluster_of_our_versions_is_joined() -> None:
    head = Head(describe_cluster(ray.__version__, f"{describe_versions()['python']}.0"))
    with grpc_server(head) as address:
        check_ray_address(address)
    check_ray_address("local")
