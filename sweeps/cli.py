"""The `sweeps` command: arguments, exit codes and printing; every decision is the library's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.errors import ExitCode, SweepError

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.driver import SweepOutcome
    from tracking.table import SweepTable

app = typer.Typer(
    help="Which optimizer, learning rate, batch size and initialisation train CIFAR-10 best?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(help="Sweep file; - reads standard input.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides one value of the file, e.g. --set budget.trials=8."),
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable output.")]
SweepId = Annotated[
    str | None, typer.Argument(help="Sweep id, or its beginning; the latest sweep when left out.", show_default=False)
]


@app.command()
def run(file: File, overrides: Overrides = None, as_json: Json = False) -> None:
    """Run a sweep to its report."""
    from sweeps.spec import load_spec

    spec = load_spec(file, overrides or ())
    from sweeps.driver import run_sweep
    from sweeps.home import open_home
    from sweeps.live import build_view

    home = open_home()
    with build_view(_console(stderr=as_json)) as view:
        sweep_file = "" if str(file) == "-" else file.read_text()
        outcome = run_sweep(spec, home, sweep_file=sweep_file, listeners=[view])
    _print_outcome(outcome, home.tracking_uri, as_json=as_json)


@app.command()
def resume(sweep_id: SweepId = None, as_json: Json = False) -> None:
    """Go on with an interrupted sweep."""
    from sweeps.driver import resume_sweep
    from sweeps.home import find_sweep, open_home
    from sweeps.live import build_view

    home = open_home()
    found = find_sweep(home, sweep_id)
    with build_view(_console(stderr=as_json)) as view:
        outcome = resume_sweep(found, home, listeners=[view])
    _print_outcome(outcome, home.tracking_uri, as_json=as_json)


@app.command()
def validate(file: File, overrides: Overrides = None, as_json: Json = False) -> None:
    """Check a sweep file, and show what it would run."""
    from sweeps.budgets import num_confirm_trials, num_search_trials
    from sweeps.space import build_arms, searched, size
    from sweeps.spec import dump_spec, load_spec

    spec = load_spec(file, overrides or ())
    arms = build_arms(spec)
    limits = num_search_trials(spec, arms)
    if as_json:
        facts = [
            {"arm": arm.name, "trials": limits[arm.name], "tunes": list(searched(arm)), "size": size(arm)}
            for arm in arms
        ]
        _print_json({"valid": True, "spec": spec.model_dump(mode="json"), "arms": facts})
        return
    console = _console()
    console.print(dump_spec(spec), markup=False, highlight=False, soft_wrap=True)
    for arm in arms:
        limit = limits[arm.name]
        points = size(arm)
        console.print(
            f"{arm.name}: {'trials until the time is up' if limit is None else f'{limit} trials'} + "
            f"{num_confirm_trials(spec)} retrained; tunes {', '.join(searched(arm)) or 'nothing'} "
            f"({'continuous' if points is None else f'{points} configurations'})",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(help="How many, latest first.", min=1)] = 20, as_json: Json = False
) -> None:
    """List sweeps, latest first."""
    from sweeps.home import open_home
    from tracking.queries import list_sweeps

    home = open_home()
    summaries = list_sweeps(home.tracking_uri, limit) if home.has_tracking else ()
    if as_json:
        _print_json([vars(summary) for summary in summaries])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("sweep", "project", "state", "started"):
        table.add_column(column, no_wrap=True)
    for summary in summaries:
        table.add_row(summary.sweep_id, summary.project, summary.state, f"{summary.started:%Y-%m-%d %H:%M}")
    console = _console()
    console.print(table if summaries else "no sweeps yet; start one with `sweeps run FILE`")


@app.command()
def report(sweep_id: SweepId = None, as_json: Json = False) -> None:
    """Write a sweep's report anew from MLflow, and print its leaderboard."""
    from sweeps.home import find_sweep, open_home
    from tracking.queries import load_sweep
    from tracking.recorder import deliver_journal
    from tracking.report import write_report, write_trials_csv

    home = open_home()
    found = find_sweep(home, sweep_id)
    folder = home.folder(found)
    delivered = deliver_journal(home.tracking_uri, folder.journal)
    table = load_sweep(found, home.tracking_uri)
    write_report(table, folder.report)
    write_trials_csv(table, folder.trials)
    if as_json:
        _print_json({**_table_facts(table), "report": str(folder.report), "delivered_events": delivered})
        return
    console = _console()
    if delivered:
        console.print(f"{delivered} events that MLflow had not got were delivered now")
    _print_leaderboard(console, table)
    console.print(f"report: {folder.report}", soft_wrap=True)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000) -> None:
    """Open the MLflow UI on this machine, to browse every trial; Ctrl+C ends it."""
    from sweeps.home import open_home
    from tracking.ui import serve_ui

    home = open_home()
    raise typer.Exit(serve_ui(home.tracking_uri, home.artifact_root, port))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a sweep file, for completion and checks in an editor."""
    from sweeps.spec import build_json_schema

    _print_json(build_json_schema())


def main() -> None:
    """Runs the command line; a user's error is printed as its message and sets the exit code."""
    from tracking.connection import TrackingUnavailable
    from tracking.journal import JournalBusy
    from tracking.queries import SweepNotFound

    try:
        app(standalone_mode=True)
    except SweepError as error:
        _end(error, error.exit_code)
    except TrackingUnavailable as error:
        _end(error, ExitCode.UNREACHABLE)
    except (SweepNotFound, JournalBusy) as error:
        _end(error, ExitCode.BAD_USAGE)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before the first trial; nothing to resume\n")
        sys.exit(ExitCode.INTERRUPTED)


def _end(error: Exception, code: ExitCode) -> None:
    sys.stderr.write(f"{error}\n")
    sys.exit(code)


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def _print_outcome(outcome: SweepOutcome, tracking_uri: str, *, as_json: bool) -> None:
    if as_json:
        facts = _table_facts(outcome.table) if outcome.table else {"sweep_id": outcome.sweep_id}
        report_file = str(outcome.folder.report) if outcome.table else None
        failures = [{"trial": trial, "reason": reason, "log": log} for trial, reason, log in outcome.failures]
        _print_json(
            {**facts, "state": outcome.state, "exit_code": int(outcome.exit_code), "report": report_file}
            | {"problem": outcome.problem, "failures": failures}
        )
    else:
        _print_result(_console(), outcome, tracking_uri)
    raise typer.Exit(int(outcome.exit_code))


def _print_result(console: Console, outcome: SweepOutcome, tracking_uri: str) -> None:
    from rich.markup import escape

    from tracking.queries import hide_password

    if outcome.table is not None:
        for notice in outcome.table.notices:
            console.print(f"[bold red]{escape(notice)}[/]", soft_wrap=True)
        _print_leaderboard(console, outcome.table)
        console.print(f"report: {outcome.folder.report}", soft_wrap=True, highlight=False)
        console.print(f"trials: {outcome.folder.trials}", soft_wrap=True, highlight=False)
    console.print(
        f"every trial: `sweeps ui`, then http://127.0.0.1:5000 (MLflow at {hide_password(tracking_uri)})",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for trial, reason, log in outcome.failures:
        by_reason.setdefault(reason, []).append((trial, log))
    for reason, trials in by_reason.items():
        names = ", ".join(trial for trial, _ in trials)
        log = f"; see {trials[0][1]}" if trials[0][1] else ""
        console.print(f"[red]failed: {len(trials)} × {escape(reason)}[/] ({names}{log})", soft_wrap=True)
    if outcome.problem:
        console.print(f"[red]{escape(outcome.problem)}[/]", soft_wrap=True)
    if outcome.exit_code == ExitCode.INTERRUPTED:
        console.print(f"interrupted; go on with: sweeps resume {outcome.sweep_id}", soft_wrap=True, highlight=False)


def _print_leaderboard(console: Console, table: SweepTable) -> None:
    from rich.table import Table

    from tracking.leaderboard import build_leaderboard, format_cells

    header, rows = format_cells(build_leaderboard(table))
    shown = Table(box=None, pad_edge=False, header_style="bold", title=table.sweep_id, title_justify="left")
    for index, column in enumerate(header):
        shown.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _table_facts(table: SweepTable) -> dict[str, Any]:
    from dataclasses import asdict

    from tracking.leaderboard import build_leaderboard

    return {
        "sweep_id": table.sweep_id,
        "leaderboard": [asdict(row) for row in build_leaderboard(table)],
        "notices": list(table.notices),
    }


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
