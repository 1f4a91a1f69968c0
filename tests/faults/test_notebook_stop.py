"""The stop button of a notebook ends a sweep in order, as Ctrl+C does in a terminal."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from notebooks import *  # noqa: F403  # the fixture
from notebooks import EXAMPLE, list_outputs, open_client

from sweeps.home import Home

pytestmark = [pytest.mark.cluster, pytest.mark.thorough_fault]


def test_the_stop_button_ends_a_sweep_in_order(folder: Path) -> None:
    notebook = nbformat.read(EXAMPLE, as_version=4)
    definition = next(cell for cell in notebook.cells if "sweep_file = {" in cell.source)
    definition.source = definition.source.replace('"epochs": 3', '"epochs": 2000')
    run = next(cell for cell in notebook.cells if "run_sweep(sweep_file)" in cell.source and cell is not definition)
    run.source = "sweep = run_sweep(sweep_file)\nprint(sweep.state, sweep.problem)"
    notebook.cells = [definition, run]
    client = open_client(notebook, folder)
    stopper = threading.Thread(target=interrupt_when_it_trains, args=(client, Home(folder / "sweep-results")))
    stopper.start()
    client.execute()
    stopper.join()
    assert "interrupted" in list_outputs(notebook)
    assert "Traceback" not in list_outputs(notebook)


def interrupt_when_it_trains(client: NotebookClient, home: Home) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if any('"epoch"' in home.folder(sweep_id).journal.read_text() for sweep_id in home.sweep_ids()):
            break
        time.sleep(0.5)
    assert client.km is not None
    asyncio.run(client.km.interrupt_kernel())
