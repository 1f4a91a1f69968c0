import io
from dataclasses import replace

from sweeps.cli.printing import plan_facts, print_plan
from sweeps.plan.plan import ArmPlan, DiskPlan, MeasuredCost, Plan, Range
from sweeps.terminal import PlainConsole
from trainer.timing import Cost

COST = Cost(12.5, 10.0, 20.0, 0.5, 1.0, 1_250_000_000, 45_600)
PLAN = Plan(
    arms=(
        ArmPlan("sgd", 9, 2, Range(30, 40, 60), {1: 1.0, 3: 0.5, 9: 0.25}),
        ArmPlan("adam", None, 2, Range(50, 50, 50), {9: 1.0}),
    ),
    slots=3,
    cpus=2,
    gpus=0.5,
    costs=(
        MeasuredCost({"batch_size": 32, "optimizer": "sgd"}, 0.75, COST),
        MeasuredCost({"batch_size": 64, "optimizer": "sgd"}, 0.25, None),
    ),
    wall_seconds=Range(50.0, 130.0, 4000.0),
    core_hours=Range(0.5, 1.0, 2.0),
    gpu_hours=Range(0.25, 0.5, 1.0),
    memory_bytes=2_500_000_000,
    disk=DiskPlan(45_600, 2_000_000, 3_000_000, Range(1e6, 2e6, 2.5e6), 10**9),
)


def show(plan: Plan, price: float = 0.0, gpu_price: float = 0.0) -> str:
    file = io.StringIO()
    print_plan(PlainConsole(file, width=160), plan, price, gpu_price)
    return file.getvalue()


def test_arms_costs_and_sums_are_printed() -> None:
    lines = [" ".join(line.split()) for line in show(PLAN).splitlines()]
    for expected in (
        "sgd 9 100% 50% 25% 2 40 (30 to 60)",
        "adam until the budget is used up 100% 2 50",
        "batch_size 32, optimizer sgd 75% 12.5 s (10.0 to 20.0) 1.25 GB 45.6 kB",
        "epochs 90 (80 to 110)",
        "at a time 3 trials of 2 CPU and 0.5 GPU",
        "wall time 2 min 10 s (50 s to 1 h 06 min)",
        "work 1.00 (0.50 to 2.00) core-hours",
        "0.50 (0.25 to 1.00) GPU-hours",
        "memory up to 2.5 GB",
        "disk up to 3 MB at a time, with checkpoints of 45.6 kB",
        "2 MB at the end",
    ):
        assert expected in lines
    assert not any("batch_size 64" in line for line in lines), "what was not measured has no row"
    assert not any("money" in line for line in lines)


def test_money_is_printed_where_there_is_a_price() -> None:
    assert "money     6.00 (3.00 to 12.00)" in show(PLAN, 1.0, 10.0)
    assert plan_facts(PLAN, 1.0, 10.0)["price"] == {"low": 3.0, "mid": 6.0, "high": 12.0}
    assert plan_facts(PLAN, 0.0, 0.0)["price"] is None


def test_what_was_not_measured_is_said() -> None:
    plan = replace(PLAN, wall_seconds=None, core_hours=None, gpu_hours=None, memory_bytes=None, disk=None)
    assert "not measured" in show(plan)
    assert "core-hours" not in show(plan)
    assert "disk      not known without measuring the network" in show(plan)


def test_the_disk_is_said_without_times_too_and_what_may_not_fit() -> None:
    assert PLAN.disk is not None
    assert "it may not fit" not in show(PLAN)
    shown = show(replace(PLAN, wall_seconds=None, disk=replace(PLAN.disk, free_bytes=2_900_000)))
    assert "disk      up to 3 MB at a time" in shown
    assert "it may not fit: 2.9 MB free; free some, or set SWEEPS_HOME elsewhere" in shown
    assert plan_facts(PLAN, 0.0, 0.0)["disk"]["end_bytes"] == {"low": 1e6, "mid": 2e6, "high": 2.5e6}
