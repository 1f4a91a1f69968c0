"""The notebook of the examples, run in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient

__all__ = ["folder"]

EXAMPLE = Path(__file__).parents[1] / "sweeps" / "examples" / "notebook.ipynb"


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
