"""The notebook of the examples runs as it stands, and shows how far the sweep is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from sweeps.home import Home

EXAMPLE = Path(__file__).parents[2] / "sweeps" / "examples" / "notebook.ipynb"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore:Proactor", "ignore:.*over TCP without encryption"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SWEEPS_HOME", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parents[2]))
    return tmp_path


def open_client(notebook: Any, folder: Path) -> NotebookClient:
    return NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(folder)}})


def list_outputs(notebook: Any) -> str:
    return str([cell.outputs for cell in notebook.cells if cell.cell_type == "code"])


def test_the_example_runs(folder: Path) -> None:
    notebook = nbformat.read(EXAMPLE, as_version=4)
    open_client(notebook, folder).execute()
    shown = list_outputs(notebook)
    assert "retrained" in shown  # a heading of the table that was redrawn in place
    assert "<pre" in shown
    assert "sgd-confirm-00" in shown
    assert "Traceback" not in shown
    (sweep_id,) = Home(folder / "sweep-results").sweep_ids()
    assert (folder / "sweep-results" / sweep_id / "report.html").exists()
