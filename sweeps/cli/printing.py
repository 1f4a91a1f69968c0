"""What the commands print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

import typer

from sweeps.errors import ExitCode
from sweeps.plan.costs import MAX_COSTS
from tracking.analysis.labels import format_duration

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.driver.outcome import SweepOutcome
    from sweeps.plan.plan import MeasuredCost, Plan, Range
    from tracking.table import SweepTable


LINE_WIDTH = 160  # of tables in a file or a pipe, where rich would take 80


def open_console(*, stderr: bool = False) -> Console:
    """The terminal, or whatever the output goes to."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=LINE_WIDTH)


@contextmanager
def machine_output(as_json: bool) -> Iterator[None]:
    """With `as_json`, sends to standard error what Ray prints of its nodes: standard output is for the result alone."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def print_outcome(outcome: SweepOutcome, tracking_uri: str, *, as_json: bool) -> None:
    """Prints how a sweep ended, and ends the command with its exit code."""
    if as_json:
        facts = table_facts(outcome.table) if outcome.table else {"sweep_id": outcome.sweep_id}
        report_file = str(outcome.folder.report) if outcome.table else None
        failures = [{"trial": trial, "reason": reason, "log": log} for trial, reason, log in outcome.failures]
        print_json(
            {**facts, "state": outcome.state, "exit_code": int(outcome.exit_code), "report": report_file}
            | {"problem": outcome.problem, "failures": failures}
        )
    else:
        _print_result(open_console(), outcome, tracking_uri)
    raise typer.Exit(int(outcome.exit_code))


def _print_result(console: Console, outcome: SweepOutcome, tracking_uri: str) -> None:
    from rich.markup import escape

    from tracking.analysis.plan_accuracy import build_forecast
    from tracking.store.connection import hide_password

    if outcome.table is not None:
        for notice in outcome.table.notices:
            console.print(f"[bold red]{escape(notice)}[/]", soft_wrap=True)
        print_leaderboard(console, outcome.table)
        for row in build_forecast(outcome.table)[:1]:
            console.print(f"{row.name}: {row.actual}; predicted were {row.predicted}", soft_wrap=True, highlight=False)
        console.print(f"report: {outcome.folder.report}", soft_wrap=True, highlight=False)
        console.print(f"trials: {outcome.folder.trials}", soft_wrap=True, highlight=False)
    shown = hide_password(tracking_uri)
    has_server = tracking_uri.startswith(("http://", "https://"))
    console.print(
        f"every trial: {shown}/#/experiments"
        if has_server
        else f"every trial: `sweeps ui`, then http://127.0.0.1:5000 (MLflow at {shown})",
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


def print_leaderboard(console: Console, table: SweepTable) -> None:
    """Prints a row per arm, best first."""
    from rich.table import Table

    from tracking.analysis.leaderboard import build_leaderboard, format_cells
    from tracking.analysis.pareto import format_front

    header, rows = format_cells(build_leaderboard(table))
    shown = Table(box=None, pad_edge=False, header_style="bold", title=table.sweep_id, title_justify="left")
    for index, column in enumerate(header):
        shown.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    if table.metrics:
        columns, lines = format_front(table)
        front = Table(box=None, pad_edge=False, header_style="bold", title="Pareto front", title_justify="left")
        for index, column in enumerate(columns):
            front.add_column(column, justify="left" if index == 0 else "right")
        for line in lines:
            front.add_row(*line)
        console.print(front)


def table_facts(table: SweepTable) -> dict[str, Any]:
    """The result of a sweep for machines."""
    from dataclasses import asdict

    from tracking.analysis.leaderboard import build_leaderboard
    from tracking.analysis.pareto import find_front

    names = [name for name, _ in table.metrics]
    front = (
        [{"trial": each.trial.trial_id, **dict(zip(names, each.values, strict=True))} for each in find_front(table)]
        if table.metrics
        else []
    )
    return {
        "sweep_id": table.sweep_id,
        "leaderboard": [asdict(row) for row in build_leaderboard(table)],
        "notices": list(table.notices),
        **({"front": front} if table.metrics else {}),
    }


def print_json(value: object) -> None:
    """Prints for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def plan_facts(plan: Plan, price: float, gpu_price: float) -> dict[str, Any]:
    """The plan for machines."""
    from dataclasses import asdict

    money = plan.price(price, gpu_price) if price or gpu_price else None
    return {**plan.to_json(), "price": None if money is None else asdict(money)}


def print_plan(console: Console, plan: Plan, price: float, gpu_price: float) -> None:
    """Prints the arms, what a trial costs, and the sums.

    Args:
        console: Where to.
        plan: What to print.
        price: Of a core for an hour.
        gpu_price: Of a GPU for an hour.
    """
    from rich.table import Table

    arms = Table(box=None, pad_edge=False, header_style="bold")
    epochs = sorted({epoch for arm in plan.arms for epoch in arm.reached})
    for column in ("arm", "trials", *(f"to epoch {epoch}" for epoch in epochs), "retrained", "epochs in all"):
        arms.add_column(column, justify="left" if column == "arm" else "right")
    for arm in plan.arms:
        trials = "until the budget is used up" if arm.num_trials is None else str(arm.num_trials)
        reached = (f"{arm.reached[epoch]:.0%}" if epoch in arm.reached else "" for epoch in epochs)
        arms.add_row(arm.arm, trials, *reached, str(arm.num_confirm), _show(arm.epochs, "{:,.0f}"))
    console.print(arms)
    if any(measured.cost for measured in plan.costs):
        console.print(_build_costs(plan.costs))
        if len(plan.costs) > MAX_COSTS:
            console.print(f"{MAX_COSTS} of {len(plan.costs)} kinds of trials were measured; the others as their mean")
    for name, value in _list_sums(plan, price, gpu_price):
        console.print(f"{name:<10}{value}", highlight=False, soft_wrap=True)


def _build_costs(costs: tuple[MeasuredCost, ...]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trials with", "share", "an epoch", "memory", "checkpoint"):
        table.add_column(column, justify="left" if column == "trials with" else "right")
    for measured in costs:
        if measured.cost is None:
            continue
        cost = measured.cost
        table.add_row(
            ", ".join(f"{name} {value}" for name, value in measured.settings.items()) or "these settings",
            f"{measured.share:.0%}",
            f"{cost.epoch_seconds:.1f} s ({cost.low_seconds:.1f} to {cost.high_seconds:.1f})",
            _show_bytes(cost.memory_bytes),
            _show_bytes(cost.checkpoint_bytes),
        )
    return table


def _list_sums(plan: Plan, price: float, gpu_price: float) -> list[tuple[str, str]]:
    lines = [
        ("epochs", _show(plan.epochs, "{:,.0f}")),
        ("at a time", f"{plan.slots} trials of {plan.cpus} CPU and {plan.gpus:g} GPU"),
    ]
    if plan.wall_seconds is None or plan.core_hours is None or plan.gpu_hours is None:
        return [*lines, ("time", "not measured")]
    wall = plan.wall_seconds
    lines.append(
        ("wall time", f"{format_duration(wall.mid)} ({format_duration(wall.low)} to {format_duration(wall.high)})")
    )
    lines.append(("work", f"{_show(plan.core_hours, '{:.2f}')} core-hours"))
    if plan.gpus:
        lines.append(("", f"{_show(plan.gpu_hours, '{:.2f}')} GPU-hours"))
    money = plan.price(price, gpu_price)
    if money is not None and (price or gpu_price):
        lines.append(("money", _show(money, "{:.2f}")))
    if plan.memory_bytes is not None and plan.disk_bytes is not None:
        lines.append(("memory", f"up to {_show_bytes(plan.memory_bytes)}"))
        lines.append(("disk", f"up to {_show_bytes(plan.disk_bytes.high)}"))
    return lines


def _show(found: Range, form: str) -> str:
    low, mid, high = (form.format(value) for value in (found.low, found.mid, found.high))
    return mid if low == high else f"{mid} ({low} to {high})"


def _show_bytes(count: float) -> str:
    unit, factor = next(((unit, factor) for unit, factor in _UNITS if count >= factor), _UNITS[-1])
    return f"{count / factor:.3g} {unit}"
