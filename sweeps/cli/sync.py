"""The command that sends MLflow what it has missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.cli.options import Json, SweepId
from sweeps.cli.printing import print_json, print_settled, settled_facts
from sweeps.home import Home, open_home

if TYPE_CHECKING:
    from sweeps.driver.settling import Settled


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(sync)


def sync(sweep_id: SweepId = None, as_json: Json = False) -> None:
    """Send MLflow what it missed while it was away: of one sweep, or of all that have a journal here.

    The rest of an ended sweep's end is done as well: its report is stored with its run, its winner registered. A sweep
    that runs is left alone: its driver sends what waits as soon as MLflow is back.
    """
    from sweeps.remote.control import find_sweep

    home = open_home()
    wanted = [find_sweep(home, sweep_id)] if sweep_id else _list_journals(home)
    again = "send the rest with: sweeps sync" + (f" {sweep_id}" if sweep_id else "")
    with interrupted_as(lambda: again):
        synced = {each: _sync(home, each) for each in wanted}
    if as_json:
        print_json(
            {each: {"running": True} if found is None else settled_facts(found) for each, found in synced.items()}
        )
        return
    from sweeps.terminal import open_console

    console = open_console()
    for each, found in synced.items():
        if found is None:
            console.print(f"{each}: it runs, and its driver sends what waits", soft_wrap=True)
        elif found.num_delivered or found.done or found.problem:
            print_settled(console, f"{each}: ", found)
        else:
            console.print(f"{each}: MLflow has everything", soft_wrap=True)
    if not synced:
        console.print("no sweep has a journal here")


def _list_journals(home: Home) -> list[str]:
    return [each for each in home.sweep_ids() if home.folder(each).has_begun]


def _sync(home: Home, sweep_id: str) -> Settled | None:
    """Sends what is left of a sweep; None while it runs."""
    from sweeps.driver.settling import settle
    from tracking.recording.journal import is_held

    if is_held(home.folder(sweep_id).journal):
        return None
    return settle(sweep_id, home)
