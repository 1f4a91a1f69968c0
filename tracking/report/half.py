"""The report of a sweep that still runs, made by a process of its own: `python -m tracking.report.half ID FOLDER`.

The page goes to standard output, for whoever started this to put in its place, and to the artifacts of the sweep's run;
on failure one sentence does. MLflow is that of MLFLOW_TRACKING_URI. The process ends when
its standard input does: no half report comes after a whole one.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from tracking import names
from tracking.analysis.findings import build_headline
from tracking.analysis.leaderboard import build_leaderboard
from tracking.report.page import build_page
from tracking.store.connection import describe
from tracking.store.queries import ask, find_parent, load_sweep

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NICENESS = 19  # trials and driver come first


def main(sweep_id: str, folder: Path) -> int:
    """Makes the report; returns the exit code."""
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_input, daemon=True).start()
    uri = os.environ["MLFLOW_TRACKING_URI"]
    try:
        table = load_sweep(sweep_id, uri, folder)
        if table.state != names.STATE_RUNNING:
            return 1  # it has ended meanwhile
        page = build_page(table, get_plotlyjs())
        sys.stdout.buffer.write(page.encode())
        sys.stdout.flush()
        headline = f"So far: {build_headline(table, build_leaderboard(table))}"
        ask(uri, lambda client: _store(client, sweep_id, page, headline))
    except Exception as error:  # noqa: BLE001  # the border: whoever started this hears it as a sentence
        sys.stdout.write(describe(error, uri))
        return 1
    return 0


def _store(client: MlflowClient, sweep_id: str, page: str, headline: str) -> None:
    run_id = find_parent(client, sweep_id).info.run_id
    client.log_text(run_id, page, names.REPORT_ARTIFACT)
    client.set_tag(run_id, names.SWEEP_HEADLINE, headline)


def _end_with_input() -> None:
    while os.read(0, 4096):
        continue
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
