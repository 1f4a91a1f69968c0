"""The command that opens MLflow's UI."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.options import SweepId

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.terminal import PlainConsole
    from tracking.store.links import SweepLinks


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(ui)


def ui(
    sweep_id: SweepId = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
    open_: Annotated[bool, typer.Option("--open", help="Open the sweep's trials in a browser.")] = False,
) -> None:
    """Open the MLflow UI on this machine, with links to a sweep's report, trials, charts and retrainings.

    Ctrl+C ends it. Where MLFLOW_TRACKING_URI names a server, the links lead there and nothing is started.
    """
    from sweeps.home import open_home
    from sweeps.terminal import open_console
    from tracking.store.links import find_address
    from tracking.store.ui import run_ui

    home, console = open_home(), open_console()
    found = _find_sweep(home, sweep_id)
    if address := find_address(home.tracking_uri):
        _show(console, home, address, found, ends="", open_=open_)
        return
    try:
        with run_ui(home.tracking_uri, home.artifact_root, port) as server:
            _show(console, home, server.address, found, ends=" (Ctrl+C ends it)", open_=open_)
            server.wait()
    except KeyboardInterrupt:
        return


def _find_sweep(home: Home, sweep_id: str | None) -> str:
    """The sweep that is meant; "" where none was named, and there is none."""
    from sweeps.errors import BadUsage
    from sweeps.remote.control import find_sweep

    try:
        return find_sweep(home, sweep_id)
    except BadUsage:
        if sweep_id is not None:
            raise
        return ""


def _show(console: PlainConsole, home: Home, address: str, sweep_id: str, *, ends: str, open_: bool) -> None:
    """Prints where MLflow is, and where in it a sweep is."""
    links = _load_links(home, address, sweep_id) if sweep_id else None
    console.print(f"MLflow's UI: {address}{ends}", soft_wrap=True)
    if links is not None:
        console.print(sweep_id, soft_wrap=True)
        lines = links.to_lines()
        width = max(len(name) for name, _ in lines)
        for name, link in lines:
            console.print(f"  {name:{width}}  {link}", soft_wrap=True)
    if open_ and not webbrowser.open(links.trials if links else address):
        console.print("no browser could be opened here; open one of these addresses yourself", soft_wrap=True)


def _load_links(home: Home, address: str, sweep_id: str) -> SweepLinks | None:
    from tracking.store.links import find_links
    from tracking.store.queries import ask
    from tracking.store.runs import find_family

    return ask(home.tracking_uri, lambda client: find_links(client, address, sweep_id, find_family(client, sweep_id)))
