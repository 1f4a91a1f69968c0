"""What `sweeps plan` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeps.plan.build import MAX_COSTS
from sweeps.running.live import format_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.plan.plan import MeasuredCost, Plan, Range


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
        ("wall time", f"{format_seconds(wall.mid)} ({format_seconds(wall.low)} to {format_seconds(wall.high)})")
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
