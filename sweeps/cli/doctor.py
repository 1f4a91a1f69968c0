"""The command that says whether this machine can run sweeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.cli.options import Json
from sweeps.cli.printing import print_json

if TYPE_CHECKING:
    from sweeps.driver.doctor import Finding
    from sweeps.terminal import PlainConsole

_STYLES = {"ok": "green", "note": "yellow", "bad": "bold red"}


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(doctor)


def doctor(
    ray: Annotated[bool, typer.Option("--ray/--no-ray", help="Really start Ray, or join the cluster.")] = True,
    as_json: Json = False,
) -> None:
    """Say whether this machine can run sweeps: each thing that they need, and what to do about what is missing."""
    from sweeps.driver.doctor import Health, examine
    from sweeps.errors import ExitCode
    from sweeps.home import open_home
    from sweeps.terminal import open_console

    console, findings = open_console(), []
    with interrupted_as(lambda: "nothing was changed"):
        for finding in examine(open_home(), start_ray=ray):
            findings.append(finding)
            if not as_json:
                _show(console, finding)
    num_bad = sum(finding.health is Health.BAD for finding in findings)
    if as_json:
        print_json({"ready": not num_bad, "findings": [asdict(finding) for finding in findings]})
    else:
        console.print(f"{num_bad} of these keep sweeps from running" if num_bad else "sweeps can run here")
    raise typer.Exit(int(ExitCode.NOTHING_SUCCEEDED if num_bad else ExitCode.DONE))


def _show(console: PlainConsole, finding: Finding) -> None:
    from rich.text import Text

    line = Text.assemble((f"{finding.health:<5}", _STYLES[finding.health]), f"{finding.subject:<10}{finding.found}")
    console.print(line, soft_wrap=True)
    if finding.remedy:
        console.print(f"{'':<15}{finding.remedy}", soft_wrap=True)
