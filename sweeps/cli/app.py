"""The `sweeps` command: arguments, exit codes and printing; every decision is the library's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sweeps.cli import doctor, explain, init, remote, replay, results, sync, ui, watch
from sweeps.cli.guard import (
    GuardedCommand,
    GuardedGroup,
    interrupted_as,
    leave,
    open_standard_streams,
    run_guarded,
    take_signals,
)
from sweeps.cli.options import (
    File,
    Json,
    JsonLines,
    Measure,
    MeasureFirst,
    Output,
    Overrides,
    ReportFormat,
    SweepId,
    choose_output,
)
from sweeps.cli.printing import (
    open_view,
    print_json,
    print_leaderboard,
    print_outcome,
    print_settled,
    print_sweeps,
    settled_facts,
    table_facts,
)
from sweeps.environment import VERSION
from sweeps.errors import BadUsage
from trainer.working_directory import ignore_working_directory

Command = TypeVar("Command", bound=Callable[..., Any])


class App(typer.Typer):
    """The command line; each command is guarded."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:
        """Adds a command."""
        return super().command(name, **{"cls": GuardedCommand, **options})


app = App(
    cls=GuardedGroup,
    help="Which optimizer, learning rate, batch size and initialisation train CIFAR-10 best?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"sweeps {VERSION}\n")
        raise typer.Exit


@app.callback()
def set_up(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, and all that libraries print.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Which optimizer, learning rate, batch size and initialisation train CIFAR-10 best?"""


@app.command()
def run(
    file: Annotated[Path | None, typer.Argument(help="Sweep file; - reads standard input.", show_default=False)] = None,
    overrides: Overrides = None,
    as_json: Json = False,
    json_lines: JsonLines = False,
    sweep_id: Annotated[str, typer.Option("--id", hidden=True, help="Id of the sweep, from `submit`.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would come to, as `sweeps plan`.")
    ] = False,
    measure: MeasureFirst = None,
    extend: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="In the place of FILE: goes on with the search of a sweep that has ended, and keeps its trials; --set "
            "gives it a greater budget or wider ranges.",
        ),
    ] = None,
) -> None:
    """Run a sweep to its report."""
    output = choose_output(as_json=as_json, json_lines=json_lines)
    if extend is not None:
        others = {"FILE": file is not None, "--dry-run": dry_run, "--measure": bool(measure)}
        check_extends(extend, [name for name, given in others.items() if given], overrides or ())
        remote.extend(extend, overrides or (), output)
        return
    if file is None:
        raise BadUsage("give a sweep file, or `--extend ID` to go on with a sweep that has ended")
    if dry_run:
        plan(file, overrides, measure=measure is not False, as_json=output is not Output.TEXT)
        return
    _run_file(file, overrides or (), output, sweep_id=sweep_id, measure=bool(measure))


def _run_file(file: Path, overrides: Sequence[str], output: Output, *, sweep_id: str, measure: bool) -> None:
    from sweeps.home import open_home
    from sweeps.spec import load_spec

    spec, home = load_spec(file, overrides), open_home()
    with interrupted_as(lambda: "nothing had been trained, and nothing is left behind"):
        from sweeps.plan.words import introduce
        from sweeps.spec.notes import list_notes

        with open_view(output) as view:
            view.preparation.say(introduce(spec))  # before what takes seconds to import
            for note in list_notes(spec):
                view.preparation.say(note)
            from sweeps.driver.driver import run_sweep

            text = "" if str(file) == "-" else file.read_text("utf-8")
            outcome = run_sweep(
                spec,
                home,
                sweep_file=text,
                sweep_id=sweep_id,
                listeners=[view],
                measure=measure,
                preparation=view.preparation,
            )
    print_outcome(outcome, home.tracking_uri, output)


def check_extends(sweep_id: str, others: Sequence[str], overrides: Sequence[str]) -> None:
    """Returns when a sweep can be extended by what was given beside its id.

    Raises:
        BadUsage: When something else was given, or nothing that makes it larger.
    """
    if others:
        raise BadUsage(f"--extend {sweep_id} goes on with what that sweep ran as; leave {', '.join(others)} out")
    if not overrides:
        raise BadUsage(
            f"--extend {sweep_id}: say what gets larger, for example --set budget.trials_per_arm=24 or "
            "--set parameters.lr.max=1"
        )


@app.command()
def plan(
    file: File,
    overrides: Overrides = None,
    measure: Measure = True,
    price: Annotated[float, typer.Option(metavar="PRICE", help="Of a core for an hour.", min=0)] = 0.0,
    gpu_price: Annotated[float, typer.Option(metavar="PRICE", help="Of a GPU for an hour.", min=0)] = 0.0,
    as_json: Json = False,
) -> None:
    """Say what a sweep will come to, before it starts: trials, epochs, time, money, memory and disk."""
    from sweeps.spec import load_spec

    spec = load_spec(file, overrides or ())
    from sweeps.cli.printing import plan_facts, print_plan
    from sweeps.driver.driver import plan_sweep
    from sweeps.home import open_home
    from sweeps.spec.notes import list_notes

    # Standard output is for the result alone.
    with interrupted_as(lambda: "nothing was changed"), redirect_stdout(sys.stderr):
        made = plan_sweep(spec, open_home(), measure=measure)
    if as_json:
        print_json({**plan_facts(made, price, gpu_price), "notes": list_notes(spec)})
        return
    from sweeps.terminal import open_console

    console = open_console()
    print_plan(console, made, price, gpu_price)
    for note in list_notes(spec):
        console.print(note, soft_wrap=True)


@app.command()
def validate(file: File, overrides: Overrides = None, as_json: Json = False) -> None:
    """Check a sweep file, and show what it would run."""
    from sweeps.space.arms import searched, size
    from sweeps.spec import dump_spec, load_spec
    from sweeps.spec.arms import build_arms, num_confirm_trials, num_search_trials
    from sweeps.spec.notes import list_notes

    spec = load_spec(file, overrides or ())
    arms = build_arms(spec)
    limits, notes = num_search_trials(spec, arms), list_notes(spec)
    if as_json:
        facts = [
            {"arm": arm.name, "trials": limits[arm.name], "tunes": list(searched(arm)), "size": size(arm)}
            for arm in arms
        ]
        print_json({"valid": True, "spec": spec.model_dump(mode="json"), "arms": facts, "notes": notes})
        return
    from sweeps.terminal import write_plain

    write_plain(dump_spec(spec))
    for arm in arms:
        limit = limits[arm.name]
        points = size(arm)
        write_plain(
            f"{arm.name}: {'trials until the time is up' if limit is None else f'{limit} trials'} + "
            f"{num_confirm_trials(spec)} retrained; tunes {', '.join(searched(arm)) or 'nothing'} "
            f"({'continuous' if points is None else f'{points} configurations'})\n"
        )
    for note in notes:
        write_plain(f"{note}\n")


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(help="How many, latest first.", min=1)] = 20, as_json: Json = False
) -> None:
    """List sweeps, latest first."""
    from sweeps.home import open_home
    from tracking.store.queries import list_sweeps

    home = open_home()
    summaries = list_sweeps(home.tracking_uri, limit) if home.has_tracking else ()
    if as_json:
        print_json([vars(summary) for summary in summaries])
        return
    from sweeps.terminal import open_console

    print_sweeps(open_console(), summaries)


@app.command()
def report(
    sweep_id: SweepId = None,
    as_json: Json = False,
    format_: Annotated[
        ReportFormat,
        typer.Option("--format", help="html: the page; md: Markdown with still pictures, for a paper or pull request."),
    ] = ReportFormat.HTML,
) -> None:
    """Write a sweep's report anew from MLflow, and print its leaderboard.

    What the end of the sweep has left undone, since MLflow was away, is done as well: what waits in its journal is
    sent, report and note are stored with its run, and its winner is registered.
    """
    from sweeps.driver.settling import settle
    from sweeps.home import open_home
    from sweeps.remote.control import find_sweep
    from tracking.report.write import write_markdown

    home = open_home()
    found = find_sweep(home, sweep_id)
    folder = home.folder(found)
    with interrupted_as(lambda: f"write it with: sweeps report {found}"):
        settled = settle(found, home, writes_report=format_ is ReportFormat.HTML)
        if format_ is ReportFormat.MD:
            write_markdown(settled.table, folder.markdown_report)
    written = folder.markdown_report if format_ is ReportFormat.MD else folder.report
    if as_json:
        print_json({**table_facts(settled.table), "report": str(written), **settled_facts(settled)})
        return
    from sweeps.terminal import open_console

    console = open_console()
    print_settled(console, "", settled)
    print_leaderboard(console, settled.table)
    console.print(f"report: {written}", soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a sweep file, for completion and checks in an editor."""
    from sweeps.spec import format_json_schema

    sys.stdout.write(format_json_schema())


remote.add_commands(app)
results.add_commands(app)
replay.add_commands(app)
explain.add_commands(app)
doctor.add_commands(app)
init.add_commands(app)
watch.add_commands(app)
ui.add_commands(app)
sync.add_commands(app)


def main() -> None:
    """Runs the command line; a user's error is printed as its message and sets the exit code."""
    ignore_working_directory()
    open_standard_streams()
    take_signals()
    try:
        run_guarded(app)
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 0)


if __name__ == "__main__":
    main()
