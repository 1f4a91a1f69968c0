"""Where MLflow shows a sweep, as `sweeps ui` prints it; the sweep is a recorded one."""

from __future__ import annotations

import io
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest
from recorded import *  # noqa: F403  # the fixtures
from recorded import build_small_table
from stores import *  # noqa: F403  # the fixtures

from sweeps.cli import printing
from sweeps.cli.ui import ui
from sweeps.driver.outcome import SweepOutcome
from sweeps.errors import BadUsage, ExitCode
from sweeps.home import Home, SweepFolder
from sweeps.terminal import PlainConsole
from tracking.names import SweepState

ADDRESS = "http://localhost:8080"
SWEEP_ID = "optimizers-20261124-031500-9f3a"


@pytest.fixture
def opened(recorded: Home, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was asked to open, where MLflow is at an address that the environment names."""
    found: list[str] = []
    monkeypatch.setenv("SWEEPS_MLFLOW_ADDRESS", ADDRESS)
    monkeypatch.setattr(webbrowser, "open", lambda address: found.append(address) or True)  # type: ignore[func-returns-value]
    return found


def test_the_links_lead_to_the_address_that_people_use(opened: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ui("optimizers")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"MLflow's UI: {ADDRESS}", SWEEP_ID]
    names = [line.split("http")[0].strip() for line in lines[2:]]
    assert names == ["report", "trials", "charts", "retrainings compared"]
    assert all(f"{ADDRESS}/#/" in line for line in lines[2:])
    assert opened == []


def test_a_browser_opens_the_trials_where_that_is_asked_for(
    opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ui(open_=True)
    assert len(opened) == 1
    assert f"viewStateShareKey={SWEEP_ID}" in opened[0]
    assert opened[0] in capsys.readouterr().out


def test_that_there_is_no_browser_is_said(
    opened: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    ui(open_=True)
    assert "no browser could be opened here" in capsys.readouterr().out


def test_an_unknown_sweep_is_said_before_anything_starts(opened: list[str]) -> None:
    with pytest.raises(BadUsage, match="no sweep of that id"):
        ui("nonsense")


@pytest.mark.parametrize("has_server", [True, False])
def test_a_sweep_ends_with_the_places_that_its_user_can_open(
    has_server: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWEEPS_MLFLOW_ADDRESS", raising=False)
    if has_server:
        monkeypatch.setenv("SWEEPS_MLFLOW_ADDRESS", ADDRESS)
    link = f"{ADDRESS}/#/experiments/1/runs/0f9c?workflowType=machine_learning"
    table = replace(build_small_table(), link=link if has_server else "")
    folder = SweepFolder(tmp_path / SWEEP_ID)
    outcome = SweepOutcome(SWEEP_ID, SweepState.COMPLETED, ExitCode.DONE, folder, table, "", ())
    shown = io.StringIO()
    tracking_uri = "http://me:secret@mlflow:5000" if has_server else "sqlite:///mlflow.db"
    printing._print_places(PlainConsole(shown, width=200), outcome, tracking_uri)
    lines = dict(line.split(": ", 1) for line in shown.getvalue().splitlines())
    assert "secret" not in shown.getvalue()
    if has_server:
        assert (
            lines["report"]
            == f"{ADDRESS}/#/experiments/1/runs/0f9c/artifacts/report.html?workflowType=machine_learning"
        )
        assert lines["trials"].startswith(f"{ADDRESS}/#/experiments/1/runs?viewStateShareKey={SWEEP_ID}")
        assert lines["files"].startswith(str(folder.path))
    else:
        assert lines["report"] == str(folder.report)
        assert f"sweeps ui {SWEEP_ID}" in lines["every trial"]
