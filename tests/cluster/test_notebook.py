"""The notebook of the examples runs as it stands, and shows how far the sweep is."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from notebooks import *  # noqa: F403  # the fixture
from notebooks import EXAMPLE, list_outputs, open_client

from sweeps.home import Home

pytestmark = pytest.mark.cluster


def test_the_example_runs(folder: Path) -> None:
    notebook = nbformat.read(EXAMPLE, as_version=4)
    open_client(notebook, folder).execute()
    shown = list_outputs(notebook)
    assert "time left" in shown  # below the table that was redrawn in place
    assert "<pre" in shown
    assert "sgd-confirm-00" in shown
    assert "Traceback" not in shown
    (sweep_id,) = Home(folder / "sweep-results").sweep_ids()
    assert (folder / "sweep-results" / sweep_id / "report.html").exists()
