"""The report of a sweep that runs, written by a real process from a real store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from recorded import build_small_table, record_trials, start_recording
from stores import *  # noqa: F403  # the fixtures

from sweeps.driver import live_report
from sweeps.driver.live_report import LiveReport
from sweeps.home import Home
from tracking.recording.recorder import Recorder
from tracking.store.connection import open_client
from tracking.store.queries import find_parent

SECONDS = 200.0  # that a process at the lowest priority may take on a busy machine


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@pytest.fixture
def home(tmp_path: Path, sqlite_uri: str, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A results folder whose MLflow has a table for everything and no sweep yet."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(live_report, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(live_report, "COST_RATIO", 0.0)
    home = Home(tmp_path)
    assert home.tracking_uri == sqlite_uri
    return home


@pytest.fixture
def running(home: Home) -> Iterator[Any]:
    """A sweep that is recorded up to its end, which has not come."""
    table = build_small_table()
    folder = home.folder(table.sweep_id)
    recorder = Recorder(home.tracking_uri, folder.journal, artifact_root=home.artifact_root)
    start_recording(table, recorder)
    record_trials(table, recorder)
    assert recorder.flush(60.0)
    entries = {"a": SimpleNamespace(epoch=1)}
    yield SimpleNamespace(sweep_id=table.sweep_id, folder=folder, ledger=SimpleNamespace(entries=entries))
    recorder.close(0.0)


def test_the_report_of_a_sweep_that_runs_says_so_here_and_in_mlflow(running: Any, home: Home) -> None:
    live = LiveReport(cast("Any", running), home)
    try:
        wait_for(running.folder.report.exists)
        assert "Half a report: the sweep is still running" in running.folder.report.read_text()
        first = running.folder.report.stat().st_mtime_ns
        running.ledger.entries["a"].epoch = 2  # without news it is not written anew
        wait_for(lambda: running.folder.report.stat().st_mtime_ns > first)
    finally:
        live.close()
    client = open_client(home.tracking_uri)
    parent = find_parent(client, running.sweep_id)
    assert "report.html" in {each.path for each in client.list_artifacts(parent.info.run_id)}
    assert parent.data.tags["sweep.headline"].startswith("So far: ")


def find_writers() -> list[psutil.Process]:
    """The processes of this one that write half reports."""
    return [each for each in psutil.Process().children() if "tracking.report.half" in each.cmdline()]


def test_nothing_of_it_comes_after_its_end(running: Any, home: Home) -> None:
    live = LiveReport(cast("Any", running), home)
    wait_for(find_writers)
    live.close()
    assert find_writers() == []
    assert not running.folder.report.exists()


def test_why_there_is_none_is_said_once_in_the_log(home: Home) -> None:
    entry = SimpleNamespace(epoch=0)
    sweep = SimpleNamespace(sweep_id="s-1", folder=home.folder("s-1"), ledger=SimpleNamespace(entries={"a": entry}))
    live = LiveReport(cast("Any", sweep), home)
    try:
        wait_for(sweep.folder.driver_log.exists)
        started = live._process
        entry.epoch = 1
        wait_for(lambda: live._process is not started)
        started = live._process
        entry.epoch = 2
        wait_for(lambda: live._process is not started)
    finally:
        live.close()
    (line,) = sweep.folder.driver_log.read_text().splitlines()
    assert line.startswith("no report for now: s-1: no such sweep in MLflow")


def test_its_process_ends_with_the_process_that_started_it(running: Any, home: Home) -> None:
    live = LiveReport(cast("Any", running), home)
    wait_for(lambda: live._process is not None)
    process = live._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # as the system does for a process that is killed
    assert process.wait(SECONDS) != 0
    live.close()
