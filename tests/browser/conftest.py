"""Headless Chromium, and a sweep recorded and served on this machine."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recorded import record_trials, start_recording
from stores import find_free_port

from tracking.analysis.note import build_note, build_verdict_tags
from tracking.recording.recorder import Recorder
from tracking.report.write import write_report
from tracking.store.connection import open_client
from tracking.store.links import SweepLinks, find_links
from tracking.store.runs import find_family
from tracking.store.ui import run_ui
from tracking.table import SweepTable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


@pytest.fixture(scope="session")
def build_table() -> Callable[..., SweepTable]:
    """The builder of a realistic sweep that the tracking tests use as well."""
    path = Path(__file__).parent.parent / "tracking" / "build_table.py"
    spec = importlib.util.spec_from_file_location("build_table_of_tracking", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    build: Callable[..., SweepTable] = module.build_table
    return build


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (no program `chromium` on the PATH)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str, int], Page]]:
    """Opens an address at a width; an error on a page of ours or a request to the network fails the test."""
    pages: list[Page] = []
    faults: list[str] = []

    def open_one(address: str, width: int = 1280) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        if address.startswith("file:"):
            page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda request: faults.append(request.url) if "://" in request.url[5:] else None)
        page.goto(address)
        return page

    yield open_one
    for page in pages:
        page.close()
    assert faults == []


@pytest.fixture(scope="session")
def report_file(build_table: Callable[..., SweepTable], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(build_table(), path)
    return path


@pytest.fixture(scope="session")
def sweep_links(
    build_table: Callable[..., SweepTable], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SweepLinks]:
    """MLflow's UI over the recorded sweep, as `sweeps ui` serves it; its links."""
    table, home = build_table(), tmp_path_factory.mktemp("ui")
    uri, report = f"sqlite:///{home / 'mlflow.db'}", home / "sweep" / "report.html"
    write_report(table, report)
    recorder = Recorder(uri, home / "sweep" / "journal.jsonl", artifact_root=home / "artifacts")
    start_recording(table, recorder)
    record_trials(table, recorder)
    recorder.end_sweep("completed", build_note(table), (report,), build_verdict_tags(table))
    assert recorder.close(120.0), recorder.problem
    with run_ui(uri, home / "artifacts", find_free_port()) as server:
        client = open_client(uri)
        links = find_links(client, server.address, table.sweep_id, find_family(client, table.sweep_id))
        assert links is not None
        yield links


@pytest.fixture(scope="session")
def mlflow_ui(sweep_links: SweepLinks) -> str:
    """The address of MLflow's UI."""
    return sweep_links.trials.partition("/#")[0]
