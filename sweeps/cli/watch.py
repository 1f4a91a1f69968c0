"""The command that watches a sweep which runs in another process, or on a cluster."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.cli.options import SweepId

if TYPE_CHECKING:
    from tracking.table import SweepTable


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(watch)


def watch(
    sweep_id: SweepId = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Between two looks.", min=0.5, max=3600)] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line for each event.")] = False,
) -> None:
    """Watch a sweep that runs elsewhere until it ends, as a table or as lines; Ctrl+C leaves the sweep alone."""
    from sweeps.home import open_home
    from sweeps.remote.control import describe_life, find_sweep, is_alive
    from tracking.names import STATE_RUNNING
    from tracking.store.queries import load_status, load_sweep

    home = open_home()
    found = find_sweep(home, sweep_id)
    with interrupted_as(lambda: f"{found} is left alone; end it with: sweeps cancel {found}"), _open(as_json) as show:
        while True:
            table = load_sweep(found, home.tracking_uri, home.folder(found).path)
            show(table)
            if table.state != STATE_RUNNING:
                return
            status = load_status(found, home.tracking_uri)
            if not is_alive(status):
                break
            time.sleep(every)
    from sweeps.errors import NothingSucceeded

    raise NothingSucceeded(f"{found}: its driver is gone ({describe_life(status)}); go on with: sweeps resume {found}")


@contextmanager
def _open(as_json: bool) -> Iterator[Callable[[SweepTable], None]]:
    """What shows a look: lines of JSON, a table that is redrawn, or lines of text."""
    from sweeps.terminal import open_console

    console = open_console()
    if as_json or not console.is_terminal:
        yield _Lines(as_json).show
        return
    from rich.live import Live

    from sweeps.running.progress import render_progress

    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield lambda table: live.update(render_progress(table), refresh=True)


class _Lines:
    """Writes what is new since the last look."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._last: SweepTable | None = None

    def show(self, table: SweepTable) -> None:
        """Writes the events, or a line for each trial that has ended and for the state of the sweep."""
        from sweeps.running.progress import list_changes
        from sweeps.terminal import write_plain

        for event in list_changes(self._last, table):
            if self._as_json:
                sys.stdout.write(json.dumps(event) + "\n")
            elif event["event"] == "ended":
                best = "" if event["best"] is None else f"  best {table.goal_metric} {event['best']:.4f}"
                state = event["state"].replace("_", " ")
                write_plain(f"{state:>13}  {event['trial']:<16} epoch {event['epoch']:>3}{best}  {event['reason']}\n")
            elif event["event"] == "sweep":
                write_plain(f"{event['sweep_id']}: {event['state']}\n")
        sys.stdout.flush()
        self._last = table
