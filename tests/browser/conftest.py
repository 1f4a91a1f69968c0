"""Headless Chromium, and a sweep recorded and served on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recorded import record_table

from tracking.recording.recorder import Recorder
from tracking.report.write import write_report
from tracking.store.ui import build_ui_command, build_ui_environment
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
def mlflow_ui(build_table: Callable[..., SweepTable], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's UI over the recorded sweep, as `sweeps ui` serves it; its address."""
    table, home = build_table(), tmp_path_factory.mktemp("ui")
    uri = f"sqlite:///{home / 'mlflow.db'}"
    record_table(table, Recorder(uri, home / "sweep" / "journal.jsonl", artifact_root=home / "artifacts"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        build_ui_command(home / "artifacts", port),
        env=build_ui_environment(uri),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        assert any("Application startup complete" in line for line in server.stdout), "MLflow's UI did not start"
        drain = threading.Thread(target=server.stdout.read)  # a full pipe would stop the server
        drain.start()
        yield f"http://127.0.0.1:{port}"
        os.killpg(server.pid, signal.SIGKILL)
        drain.join()
