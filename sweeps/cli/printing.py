"""What the commands print."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import typer

from sweeps.cli.options import Output
from sweeps.plan.costs import MAX_COSTS
from sweeps.plan.plan import thin
from tracking.analysis.labels import format_bytes, format_duration
from tracking.names import SweepState

if TYPE_CHECKING:
    from rich.table import Table

    from sweeps.driver.outcome import SweepOutcome
    from sweeps.driver.settling import Settled
    from sweeps.plan.plan import ArmPlan, DiskPlan, MeasuredCost, Plan, Range
    from sweeps.running.live import View
    from sweeps.terminal import PlainConsole
    from tracking.store.queries import SweepSummary
    from tracking.table import SweepTable

_MAX_EPOCH_COLUMNS = 8


def build_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """A table of texts without lines; what follows the first column is a number, and stands on the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def print_sweeps(console: PlainConsole, sweeps: Sequence[SweepSummary]) -> None:
    """Prints a row per sweep."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("sweep", "project", "state", "started"):
        table.add_column(column, no_wrap=column != "project", overflow="fold")
    for sweep in sweeps:
        started = f"{sweep.started.astimezone():%Y-%m-%d %H:%M %Z}"  # where the reader is
        table.add_row(sweep.sweep_id, sweep.project, sweep.state, started)
    if sweeps:
        console.print_whole(table)
    else:
        console.print("no sweeps yet; start one with `sweeps run FILE`")


@contextmanager
def open_view(output: Output) -> Iterator[View]:
    """Shows a sweep while it is trained; what else is printed goes to standard error."""
    from sweeps.running.live import EventView, build_view
    from sweeps.terminal import PlainConsole, open_console

    if output is Output.JSON_LINES:
        shown: View = EventView(PlainConsole(sys.stdout, is_text=True))
    else:
        shown = build_view(open_console(stderr=output is Output.JSON))
    with redirect_stdout(sys.stderr), shown as view:
        yield view


def print_outcome(outcome: SweepOutcome, tracking_uri: str, output: Output) -> None:
    """Prints how a sweep ended, and ends the command with its exit code."""
    if output is not Output.TEXT:
        facts = table_facts(outcome.table) if outcome.table else {"sweep_id": outcome.sweep_id}
        report_file = str(outcome.folder.report) if outcome.table else None
        failures = [{"trial": trial, "reason": reason, "log": log} for trial, reason, log in outcome.failures]
        ended = {**facts, "state": outcome.state, "exit_code": int(outcome.exit_code), "report": report_file}
        ended |= {"problem": outcome.problem, "failures": failures}
        if output is Output.JSON:
            print_json(ended)
        else:
            print_json({"event": "outcome", **ended}, indent=None)
    else:
        from sweeps.terminal import open_console

        _print_result(open_console(), outcome, tracking_uri)
    raise typer.Exit(int(outcome.exit_code))


def _print_result(console: PlainConsole, outcome: SweepOutcome, tracking_uri: str) -> None:
    from tracking.analysis.plan_accuracy import build_forecast

    if outcome.table is not None:
        for notice in outcome.table.notices:
            console.print(notice, style="bold red", soft_wrap=True)
        print_leaderboard(console, outcome.table)
        for row in build_forecast(outcome.table)[:1]:
            console.print(f"{row.name}: {row.actual}; predicted were {row.predicted}", soft_wrap=True)
    _print_places(console, outcome, tracking_uri)
    _print_failures(console, outcome)
    if outcome.problem:
        console.print(outcome.problem, style="red", soft_wrap=True)
    if outcome.state is SweepState.INTERRUPTED:
        console.print(f"interrupted; go on with: sweeps resume {outcome.sweep_id}", soft_wrap=True)


def _print_places(console: PlainConsole, outcome: SweepOutcome, tracking_uri: str) -> None:
    """Where the result is: in files, and in MLflow by the addresses that people have."""
    from tracking.store.connection import hide_password
    from tracking.store.links import build_report_link, build_trials_link, find_address

    folder, address = outcome.folder, find_address(tracking_uri)
    lines = {"report": str(folder.report), "trials": str(folder.trials)} if outcome.table else {}
    if outcome.table is not None and outcome.table.link:
        link = outcome.table.link
        lines = {"report": build_report_link(link), "trials": build_trials_link(link, outcome.sweep_id)}
        lines["files"] = f"{folder.path} (on {platform.node()})"  # a container, perhaps, whose files nobody outside has
    elif address:
        lines["every trial"] = f"{address}/#/experiments"
    else:
        shown = hide_password(tracking_uri)
        lines["every trial"] = f"`sweeps ui {outcome.sweep_id}` opens MLflow with links to them (MLflow at {shown})"
    for name, place in lines.items():
        console.print(f"{name}: {place}", soft_wrap=True)


def _print_failures(console: PlainConsole, outcome: SweepOutcome) -> None:
    """A line for each reason that trials failed for."""
    from rich.text import Text

    by_reason: dict[str, list[str]] = {}
    for trial, reason, _ in outcome.failures:
        by_reason.setdefault(reason, []).append(trial)
    for reason, trials in by_reason.items():
        names = ", ".join(trials)
        line = Text.assemble((f"failed: {len(trials)} × {reason}", "red"), f" ({names})")
        console.print(line, soft_wrap=True)


def settled_facts(settled: Settled) -> dict[str, Any]:
    """What was left of a sweep's end and is done now, as JSON has it."""
    return {"delivered_events": settled.num_delivered, "done": list(settled.done), "problem": settled.problem}


def print_settled(console: PlainConsole, head: str, settled: Settled) -> None:
    """Prints a line for each thing that was left of a sweep's end and is done now, and for what could not be."""
    if settled.num_delivered:
        console.print(
            f"{head}{settled.num_delivered} events that MLflow had not got were delivered now", soft_wrap=True
        )
    for sentence in settled.done:
        console.print(f"{head}{sentence}", soft_wrap=True)
    if settled.problem:
        console.print(f"{head}{settled.problem}", style="red", soft_wrap=True)


def print_leaderboard(console: PlainConsole, table: SweepTable) -> None:
    """Prints a row per arm, best first."""
    from tracking.analysis.findings import build_headline, build_verdict
    from tracking.analysis.leaderboard import build_leaderboard, format_cells
    from tracking.analysis.next_steps import build_next_steps
    from tracking.analysis.pareto import format_front

    rows = build_leaderboard(table)
    console.print(build_table(*format_cells(rows), title=table.sweep_id))
    if table.metrics:
        console.print(build_table(*format_front(table), title="Pareto front"))
    console.print(f"{build_headline(table, rows)}. {build_verdict(table, rows)}".rstrip())
    for step in build_next_steps(table, rows):
        console.print(f"next: {step.reason}", soft_wrap=True)
        if step.command:
            console.print(f"      {step.command}", soft_wrap=True)


def table_facts(table: SweepTable) -> dict[str, Any]:
    """The result of a sweep for machines."""
    from dataclasses import asdict

    from tracking.analysis.findings import build_headline, build_verdict
    from tracking.analysis.leaderboard import build_leaderboard
    from tracking.analysis.next_steps import build_next_steps
    from tracking.analysis.pareto import find_front

    names = [name for name, _ in table.metrics]
    front = (
        [{"trial": each.trial.trial_id, **dict(zip(names, each.values, strict=True))} for each in find_front(table)]
        if table.metrics
        else []
    )
    rows = build_leaderboard(table)
    return {
        "sweep_id": table.sweep_id,
        "leaderboard": [asdict(row) for row in rows],
        "headline": build_headline(table, rows),
        "verdict": build_verdict(table, rows),
        "next_steps": [asdict(step) for step in build_next_steps(table, rows)],
        "notices": list(table.notices),
        **({"front": front} if table.metrics else {}),
    }


def print_json(value: object, indent: int | None = 2) -> None:
    """Prints for machines; on one line where `indent` is None."""
    sys.stdout.write(json.dumps(value, indent=indent, default=str) + "\n")


def plan_facts(plan: Plan, price: float, gpu_price: float) -> dict[str, Any]:
    """The plan for machines."""
    from dataclasses import asdict

    money = plan.price(price, gpu_price) if price or gpu_price else None
    return {**plan.to_json(), "price": None if money is None else asdict(money)}


def print_plan(console: PlainConsole, plan: Plan, price: float, gpu_price: float) -> None:
    """Prints the arms, what a trial costs, and the sums.

    Args:
        console: Where to.
        plan: What to print.
        price: Of a core for an hour.
        gpu_price: Of a GPU for an hour.
    """
    epochs = thin(sorted({epoch for arm in plan.arms for epoch in arm.reached}), _MAX_EPOCH_COLUMNS)
    columns = ("arm", "trials", *(f"to epoch {epoch}" for epoch in epochs), "retrained", "epochs in all")
    console.print(build_table(columns, (_list_arm(arm, epochs) for arm in plan.arms)))
    if any(measured.cost for measured in plan.costs):
        console.print(_build_costs(plan.costs))
        if len(plan.costs) > MAX_COSTS:
            console.print(f"{MAX_COSTS} of {len(plan.costs)} kinds of trials were measured; the others as their mean")
    for name, value in _list_sums(plan, price, gpu_price):
        console.print(f"{name:<10}{value}", soft_wrap=True)


def _list_arm(arm: ArmPlan, epochs: Sequence[int]) -> list[str]:
    trials = "until the budget is used up" if arm.num_trials is None else str(arm.num_trials)
    reached = (f"{arm.reached[epoch]:.0%}" if epoch in arm.reached else "" for epoch in epochs)
    return [arm.arm, trials, *reached, str(arm.num_confirm), _show(arm.epochs, "{:,.0f}")]


def _build_costs(costs: tuple[MeasuredCost, ...]) -> Table:
    rows = [
        (
            ", ".join(f"{name} {value}" for name, value in measured.settings.items()) or "these settings",
            f"{measured.share:.0%}",
            f"{cost.epoch_seconds:.1f} s ({cost.low_seconds:.1f} to {cost.high_seconds:.1f})",
            format_bytes(cost.memory_bytes),
            format_bytes(cost.checkpoint_bytes),
        )
        for measured in costs
        if (cost := measured.cost) is not None
    ]
    return build_table(("trials with", "share", "an epoch", "memory", "checkpoint"), rows)


def _list_sums(plan: Plan, price: float, gpu_price: float) -> list[tuple[str, str]]:
    lines = [
        ("epochs", _show(plan.epochs, "{:,.0f}")),
        ("at a time", f"{plan.slots} trials of {plan.cpus} CPU and {plan.gpus:g} GPU"),
    ]
    return [*lines, *_list_times(plan, price, gpu_price), *_list_disk(plan.disk)]


def _list_times(plan: Plan, price: float, gpu_price: float) -> list[tuple[str, str]]:
    if plan.wall_seconds is None or plan.core_hours is None or plan.gpu_hours is None:
        return [("time", "not measured")]
    wall = plan.wall_seconds
    lines = [
        ("wall time", f"{format_duration(wall.mid)} ({format_duration(wall.low)} to {format_duration(wall.high)})")
    ]
    lines.append(("work", f"{_show(plan.core_hours, '{:.2f}')} core-hours"))
    if plan.gpus:
        lines.append(("", f"{_show(plan.gpu_hours, '{:.2f}')} GPU-hours"))
    money = plan.price(price, gpu_price)
    if money is not None and (price or gpu_price):
        lines.append(("money", _show(money, "{:.2f}")))
    if plan.memory_bytes is not None:
        lines.append(("memory", f"up to {format_bytes(plan.memory_bytes)}"))
    return lines


def _list_disk(disk: DiskPlan | None) -> list[tuple[str, str]]:
    if disk is None:
        return [("disk", "not known without measuring the network")]
    peak, checkpoint = format_bytes(disk.peak_bytes), format_bytes(disk.checkpoint_bytes)
    lines = [
        ("disk", f"up to {peak} at a time, with checkpoints of {checkpoint}"),
        ("", f"{format_bytes(disk.end_bytes.mid)} at the end"),
    ]
    if disk.peak_bytes > disk.free_bytes:
        free = format_bytes(disk.free_bytes)
        lines.append(("", f"it may not fit: {free} free; free some, or set SWEEPS_HOME elsewhere"))
    return lines


def _show(found: Range, form: str) -> str:
    low, mid, high = (form.format(value) for value in (found.low, found.mid, found.high))
    return mid if low == high else f"{mid} ({low} to {high})"
