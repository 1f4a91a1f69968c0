"""Waits for a cluster that does not get on: each has an end. The cluster's part is played over HTTP."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import ray

from sweeps.errors import Unreachable
from sweeps.remote import jobs
from sweeps.remote.jobs import JobsClient


class Cluster(ThreadingHTTPServer):
    """Answers as a head's Jobs API does; `silent` takes requests and gives no answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Head)
        self.silent = threading.Event()
        self.ended = threading.Event()
        self.status, self.log = "RUNNING", ""

    def find_answer(self, path: str) -> Any:
        if path == "/api/version":
            return {"ray_version": ray.__version__}
        if path == "/api/jobs/job/logs":
            return {"logs": self.log}
        return {"type": "SUBMISSION", "submission_id": "job", "status": self.status, "entrypoint": "x"}


class Head(BaseHTTPRequestHandler):
    server: Cluster

    def answer(self) -> None:
        if self.server.silent.is_set():
            self.server.ended.wait()
            return
        text = json.dumps(self.server.find_answer(self.path))
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with Cluster() as cluster:
        thread = threading.Thread(target=cluster.serve_forever)
        thread.start()
        yield cluster
        cluster.ended.set()
        cluster.shutdown()
        thread.join()


@pytest.fixture
def client(cluster: Cluster) -> JobsClient:
    return JobsClient(f"http://127.0.0.1:{cluster.server_port}")


def follow(client: JobsClient, change: Callable[[str], None]) -> str:
    """What is printed of the job; `change` is called with each part."""
    parts = []
    for part in client.follow_logs("job"):
        parts.append(part)
        change(part)
    return "".join(parts)


def test_a_job_is_followed_to_its_end(cluster: Cluster, client: JobsClient) -> None:
    def get_on(part: str) -> None:
        cluster.log += "two\n" if part == "one\n" else ""
        cluster.status = "SUCCEEDED" if part == "two\n" else "RUNNING"

    cluster.log = "one\n"
    assert follow(client, get_on) == "one\ntwo\n"


def test_a_job_that_never_starts_is_not_followed_without_end(
    cluster: Cluster, client: JobsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "START_SECONDS", 0.5)
    cluster.status = "PENDING"
    with pytest.raises(Unreachable, match=r"the cluster has not started job within 0\.5 s; see whether"):
        list(client.follow_logs("job"))
    assert client.wait_until("job", lambda: False).status == "PENDING"


def test_a_head_that_falls_silent_is_not_waited_for_without_end(
    cluster: Cluster, client: JobsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(jobs, "AWAY_SECONDS", 1.0)
    cluster.log = "one\n"
    with pytest.raises(Unreachable) as caught:
        follow(client, lambda _: cluster.silent.set())
    assert "Read timed out" in str(caught.value)
    assert str(caught.value).endswith("job may go on there: `sweeps logs --follow` later")
    for ask in (client.job_state, client.read_logs, client.exit_code, client.stop):
        with pytest.raises(Unreachable):
            ask("job")
    with pytest.raises(Unreachable, match="no Ray Jobs API answers there"):
        JobsClient(client.address)


def test_a_head_that_is_away_for_a_moment_is_followed_further(
    cluster: Cluster, client: JobsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "REQUEST_SECONDS", 0.2)

    def fall_silent(part: str) -> None:
        if part == "one\n":
            cluster.silent.set()
            cluster.log, cluster.status = "one\ntwo\n", "SUCCEEDED"
            timer = threading.Timer(0.5, cluster.silent.clear)
            timer.start()

    cluster.log = "one\n"
    begun = time.monotonic()
    assert follow(client, fall_silent) == "one\ntwo\n"
    assert time.monotonic() - begun < jobs.AWAY_SECONDS
