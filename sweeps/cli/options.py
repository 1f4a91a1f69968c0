"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="Sweep file; - reads standard input.", show_default=False)]


Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides one value of the file, e.g. --set budget.trials=8."),
]


Measure = Annotated[
    bool,
    typer.Option("--measure/--no-measure", help="Train a few steps of each kind of trial first, to know how long."),
]


MeasureFirst = Annotated[
    bool | None,
    typer.Option(
        "--measure/--no-measure",
        help="Train a few steps of each kind of trial first, to know how long; --dry-run does, unless told not to.",
        show_default=False,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print machine-readable output.")]


JsonLines = Annotated[
    bool,
    typer.Option(
        "--json-lines", help="Print a JSON object a line for each event as it happens; the outcome comes last."
    ),
]


class Output(StrEnum):
    """What a command that trains writes into standard output."""

    TEXT = "text"
    JSON = "json"  # how it ended, as one object
    JSON_LINES = "json lines"  # every event as it happens, an object a line


def choose_output(*, as_json: bool, json_lines: bool) -> Output:
    """What the flags ask for.

    Raises:
        BadUsage: They ask for both.
    """
    if as_json and json_lines:
        from sweeps.errors import BadUsage

        raise BadUsage("--json prints one object at the end, --json-lines one for each event; give one of the two")
    return Output.JSON if as_json else Output.JSON_LINES if json_lines else Output.TEXT


def complete_id(incomplete: str) -> list[str]:
    """The sweeps here whose id begins so, latest first, for the shell."""
    from sweeps.home import open_home

    return [known for known in open_home().sweep_ids() if known.startswith(incomplete)]


SweepId = Annotated[
    str | None,
    typer.Argument(
        help="Sweep id, or its beginning; the latest sweep when left out.",
        show_default=False,
        autocompletion=complete_id,
    ),
]


Address = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Jobs API of the cluster, as http://HEAD:8265; RAY_API_SERVER_ADDRESS when left out."
    ),
]


Storage = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="Results folder on the cluster, shared by its nodes; its SWEEPS_HOME if left out."
    ),
]


Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the sweep ends.")]


class ReportFormat(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MD = "md"
