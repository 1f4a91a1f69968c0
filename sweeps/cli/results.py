"""The commands that hand on what a sweep has found."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.guard import interrupted_as
from sweeps.cli.options import Json, SweepId
from sweeps.cli.printing import build_table, print_json
from tracking.report.export import ExportFormat

if TYPE_CHECKING:
    from sweeps.terminal import PlainConsole
    from tracking.analysis.compare import SweepComparison
    from tracking.analysis.winner import Winner
    from tracking.store.registry import Promotion, RegisteredVersion
    from tracking.table import SweepTable


class BestFormat(StrEnum):
    """How the best settings are printed."""

    YAML = "yaml"
    PYTHON = "python"
    JSON = "json"


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command()(best)
    app.command()(export)
    app.command()(compare)
    app.command()(promote)


def best(
    sweep_id: SweepId = None,
    format_: Annotated[
        BestFormat,
        typer.Option("--format", help="yaml: a sweep file; python: a call of train_model; json: all that is known."),
    ] = BestFormat.YAML,
) -> None:
    """Print a sweep's best settings, as a sweep file that trains them again."""
    from sweeps.errors import NothingSucceeded
    from sweeps.remote.loading import load_recorded, load_resolved_spec
    from sweeps.spec.winner import build_single_spec, format_sweep_file, format_training_call
    from sweeps.terminal import write_plain
    from tracking.analysis.winner import choose_winner

    with interrupted_as(lambda: "nothing was changed"):
        recorded = load_recorded(sweep_id)
        winner = choose_winner(recorded.table)
        if winner is None:
            raise NothingSucceeded(f"{recorded.sweep_id}: no trial of it has succeeded, so there are no best settings")
        if format_ is BestFormat.JSON:
            print_json(_describe_winner(recorded.table, winner))
            return
        spec = load_resolved_spec(recorded)
    remarks = (_say_origin(recorded.sweep_id, winner), *winner.remarks)
    parameters = {**winner.trial.configuration, "seed": winner.trial.seed}
    if format_ is BestFormat.YAML:
        write_plain(format_sweep_file(build_single_spec(spec, parameters), remarks))
    else:
        write_plain(format_training_call(parameters, remarks, spec.resources))


def _say_origin(sweep_id: str, winner: Winner) -> str:
    """Where settings and seed come from."""
    origin = f"The best settings of {sweep_id}: those of trial {winner.found_by.trial_id}"
    if winner.trial is winner.found_by:
        return f"{origin}."
    times = "once" if len(winner.retrained) == 1 else f"{len(winner.retrained)} times"
    return f"{origin}, trained again {times}; {winner.trial.trial_id} is the retraining that stands for them."


def _describe_winner(table: SweepTable, winner: Winner) -> dict[str, Any]:
    from tracking.names import TEST_ACCURACY

    return {
        "sweep_id": table.sweep_id,
        "trial": winner.trial.trial_id,
        "found_by": winner.found_by.trial_id,
        "arm": winner.trial.arm,
        "seed": winner.trial.seed,
        "parameters": dict(winner.trial.configuration),
        "goal_metric": table.goal_metric,
        "goal_value": table.value(winner.trial),
        "test_accuracy": winner.test_accuracy,
        "retrained": [
            {
                "trial": each.trial_id,
                "seed": each.seed,
                "state": each.state,
                "test_accuracy": each.summary.get(TEST_ACCURACY),
            }
            for each in winner.retrained
        ],
        "remarks": list(winner.remarks),
    }


Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to; standard output when left out.", show_default=False),
]


def export(
    sweep_id: SweepId = None,
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="csv when left out, or what the end of FILE's name says.", show_default=False),
    ] = None,
    output: Output = None,
    epochs: Annotated[bool, typer.Option("--epochs", help="A row per epoch in the place of a row per trial.")] = False,
) -> None:
    """Write a sweep's trials, or their epochs, as a table for other programs; retrainings are marked as such."""
    from sweeps.errors import BadUsage, NothingSucceeded
    from sweeps.remote.loading import load_recorded
    from tracking.analysis.rows import build_epoch_rows, build_trial_rows
    from tracking.report.export import encode_rows

    chosen = format_ or _guess_format(output)
    if chosen is ExportFormat.PARQUET and output is None:
        raise BadUsage("Parquet is not text: say where to, with --output FILE")
    with interrupted_as(lambda: "nothing was written"):
        table = load_recorded(sweep_id).table
        rows = build_epoch_rows(table) if epochs else build_trial_rows(table)
        if not rows:
            raise NothingSucceeded(f"{table.sweep_id}: no {'epoch' if epochs else 'trial'} of it is recorded yet")
        content = encode_rows(rows, chosen)
        if output is None:
            sys.stdout.write(content.decode())
            return
        try:
            output.write_bytes(content)
        except OSError as error:
            raise BadUsage(f"{output}: cannot be written ({error.strerror}); name another file") from error
    from sweeps.terminal import open_console

    written = f"{len(rows)} {'epochs' if epochs else 'trials'} of {table.sweep_id} are in {output}"
    open_console(stderr=True).print(written, soft_wrap=True)


def _guess_format(output: Path | None) -> ExportFormat:
    """The format that a file's name ends with, else CSV."""
    ending = output.suffix.lower().removeprefix(".") if output else ""
    return ExportFormat(ending) if ending in tuple(ExportFormat) else ExportFormat.CSV


def compare(
    sweep_ids: Annotated[list[str], typer.Argument(metavar="ID ID...", help="Sweep ids, or their beginnings.")],
    as_json: Json = False,
) -> None:
    """Lay sweeps beside each other: how they differ and what each found, or why they may not be compared."""
    from sweeps.errors import BadUsage
    from sweeps.remote.loading import load_recorded, load_resolved_spec
    from sweeps.spec.flat import list_settings, list_task
    from tracking.analysis.compare import compare_sweeps

    with interrupted_as(lambda: "nothing was changed"):
        loaded = {each.sweep_id: each for each in map(load_recorded, sweep_ids)}
        if len(loaded) < 2 or len(loaded) < len(sweep_ids):
            raise BadUsage(f"{', '.join(sweep_ids)}: name two or more different sweeps; `sweeps list` shows them")
        settings = [list_settings(load_resolved_spec(each)) for each in loaded.values()]
        tables = [each.table for each in loaded.values()]
        tasks = [list_task(trial.parameters for trial in table.trials) for table in tables]
        compared = compare_sweeps(tables, settings, tasks)
    if as_json:
        print_json({"comparable": not compared.obstacles, **asdict(compared)})
        return
    from sweeps.terminal import open_console

    _print_comparison(open_console(), compared)


def _print_comparison(console: PlainConsole, compared: SweepComparison) -> None:
    from tracking.analysis.labels import format_percent, is_fraction

    def show(value: float | None, metric: str) -> str:
        return format_percent(value) if value is None or is_fraction(metric) else f"{value:.4f}"

    found = compared.findings
    rows = [
        ("state", *(each.state for each in found)),
        ("trials", *(str(each.num_trials) for each in found)),
        ("epochs trained", *(str(each.num_epochs) for each in found)),
        ("leader", *(each.leader or "none" for each in found)),
        ("its best value", *(f"{show(each.best_value, each.goal_metric)} {each.goal_metric}" for each in found)),
        ("its test accuracy", *(format_percent(each.test_accuracy) for each in found)),
        ("seeds", *(str(each.num_seeds) for each in found)),
    ]
    columns = [each.sweep_id for each in found]
    console.print(build_table(("", *columns), rows), "")
    differences = ((each.name, *each.values) for each in compared.differences)
    console.print(build_table(("differences", *columns), differences) if compared.differences else "no differences", "")
    for each in found:
        console.print(f"{each.sweep_id}: {each.headline}. {each.verdict}".rstrip(), soft_wrap=True)
    if compared.obstacles:
        console.print("These sweeps may not be compared:", style="bold red")
    for sentence in (*compared.obstacles, *compared.pairs):
        console.print(sentence, soft_wrap=True)


def promote(
    sweep_id: SweepId = None,
    trial: Annotated[
        str | None,
        typer.Option(metavar="TRIAL", help="Another registered trial than the sweep's winner.", show_default=False),
    ] = None,
    alias: Annotated[str, typer.Option(metavar="ALIAS", help="As in models:/NAME@ALIAS.")] = "champion",
    as_json: Json = False,
) -> None:
    """Have an alias of the registered model stand for a sweep's winner, as those who serve it name it."""
    from sweeps.errors import BadUsage
    from sweeps.remote.loading import load_recorded
    from tracking.analysis.leaderboard import find_winner
    from tracking.store.connection import hide_password
    from tracking.store.registry import CannotPromote
    from tracking.store.registry import promote as set_alias

    with interrupted_as(lambda: f"`sweeps promote {sweep_id or ''}` says what the alias stands for"):
        recorded = load_recorded(sweep_id)
        winner = find_winner(recorded.table)
        chosen = trial or (winner.trial_id if winner else None)
        try:
            done = set_alias(recorded.home.tracking_uri, recorded.table.project, recorded.sweep_id, chosen, alias)
        except CannotPromote as error:
            raise BadUsage(str(error)) from error
    if as_json:
        print_json(asdict(done))
        return
    from sweeps.terminal import open_console

    console = open_console()
    console.print(_say_promotion(done), soft_wrap=True)
    uri = shlex.quote(f"models:/{done.model}@{done.alias}")
    where = shlex.quote(hide_password(recorded.home.tracking_uri))
    command = f"mlflow models serve -m {uri} --env-manager local"
    console.print(f"serve it with: MLFLOW_TRACKING_URI={where} {command}", soft_wrap=True)
    console.print(f"it answers an image with its {done.now.answers}", soft_wrap=True)


def _say_promotion(done: Promotion) -> str:
    def show(version: RegisteredVersion) -> str:
        return (
            f"version {version.version} ({version.trial_id or 'a trial unknown'} of {version.sweep_id or 'no sweep'})"
        )

    if done.before is None:
        return f"{done.model}@{done.alias} is {show(done.now)}; before, nothing had this alias"
    if done.before == done.now:
        return f"{done.model}@{done.alias} is {show(done.now)}, as it was before"
    return f"{done.model}@{done.alias} is {show(done.now)}; before it was {show(done.before)}"
