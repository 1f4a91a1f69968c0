"""What `sweeps doctor` looks at, on machines with and without what sweeps need."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import time

import pytest

from sweeps.driver.doctor import LOCK, Finding, Health, compare_packages, examine
from sweeps.home import Home
from tracking.store.clock import measure_skew

LATE_SECONDS = 600


def look(home: Path) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(Home(home), start_ray=False)}


def test_every_subject_is_looked_at_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = look(tmp_path / "results")
    assert list(found) == [
        "Python", "packages", "torch", "memory", "disk", "clock", "data set", "MLflow", "port", "Ray",
    ]  # fmt: skip
    assert {found[each].health for each in ("Python", "disk", "clock", "MLflow", "Ray")} == {Health.GOOD}
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "mlflow.db").write_text("no database, " * 100)
    monkeypatch.setenv("SWEEPS_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    found = look(tmp_path / "file")
    assert found["disk"].health is Health.BAD
    assert "set SWEEPS_HOME elsewhere" in found["disk"].found
    assert "unset RAY_ADDRESS" in found["Ray"].found
    assert str(tmp_path / "nothing") in found["data set"].found
    damaged = look(tmp_path)["MLflow"]
    assert damaged.health is Health.BAD
    assert "mlflow.db" in damaged.found


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 5000))
        except OSError:
            pass  # by another program: as good
        else:
            taken.listen()
        found = look(tmp_path)["port"]
    assert found.health is Health.NOTE
    assert "--port" in found.remedy


def test_packages_are_compared_with_the_lock() -> None:
    lock = "# pinned\nray==2.60.0\ntorch==2.14.1\nfoo_bar==1.0\n"
    as_pinned = compare_packages(lock, {"ray": "2.60.0", "torch": "2.14.1+cpu", "Foo-Bar": "1.0"})
    assert as_pinned.health is Health.GOOD
    other = compare_packages(lock, {"ray": "2.59.0", "foo.bar": "1.0"})
    assert (other.health, other.found) == (Health.NOTE, "1 are not as in requirements.lock: ray 2.59.0 (2.60.0 there)")
    assert "requirements.lock" in other.remedy
    without = compare_packages(lock, {"sweeps": "0.1.0", "ray": "2.60.0"})
    assert without.health is Health.BAD
    assert "optuna" in without.found
    assert LOCK.name == "requirements.lock"


@pytest.fixture
def late_server() -> Iterator[str]:
    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", formatdate(time() - LATE_SECONDS, usegmt=True))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    with HTTPServer(("127.0.0.1", 0), Late) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_whose_clock_is_wrong_is_said(
    late_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skew = measure_skew(late_server)
    assert skew is not None
    assert abs(skew + LATE_SECONDS) < 30
    assert measure_skew("sqlite:///x.db") is None
    assert measure_skew("http://127.0.0.1:9") is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", late_server)
    clock = look(tmp_path)["clock"]
    assert clock.health is Health.NOTE
    assert "ahead of MLflow's server" in clock.found
    assert "NTP" in clock.remedy
