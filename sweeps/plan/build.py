"""Makes the plan of a sweep: pure.

How many trials pass a rung hangs on what arrives when. Searches of made-up trials are played through the sweep's own
rules, in many orders; the range between their tenth and their ninetieth percentile is what the plan says.
"""

from __future__ import annotations

import random
import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.plan.costs import CostKey, build_cost_key, count_costs, draw_configurations, find_differing
from sweeps.plan.disk import Storage, build_disk_plan
from sweeps.plan.plan import ArmPlan, MeasuredCost, Plan, Range, add_ranges, thin
from sweeps.plan.simulation import KnownTrial, Simulated, simulate
from sweeps.search.methods import METHODS
from sweeps.spec.arms import build_arms, num_confirm_trials, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.seeds import derive_seed
from trainer.config import SETTINGS, Value

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec
    from trainer.cost import Cost

_MAX_ORDERS = 40
_MIN_ORDERS = 4
_MAX_SIMULATED_LOOKS = 300_000  # of rules at trials, of all orders together
_MAX_LOOKS = 30  # at a trial; where there would be more, rules look at it after as many of its epochs, evenly spread
_UNKNOWN_TRIALS = 50  # of each arm, where no count of trials ends the search
_MAX_TRIALS = 400  # of each arm that are played; of more, what these come to is scaled
_MIN_TRIALS = 4  # of each arm, however many arms there are
PROCESS_SECONDS = 5.0  # a trial's process starts and imports torch, once per slot
TRIAL_SECONDS = 0.3  # between two trials in the same process


def build_plan(
    spec: SweepSpec, slots: int, costs: Mapping[CostKey, Cost], data_bytes: int, storage: Storage | None = None
) -> Plan:
    """What a sweep will come to.

    Args:
        spec: The sweep.
        slots: Trials that run at a time.
        costs: Those that were measured, of `count_costs`, the others are taken to be their mean; none for a plan
            without times.
        data_bytes: Size of the images.
        storage: The disk that results go to; None for a plan without it.
    """
    arms = build_arms(spec)
    drawn = {
        arm: [_Configuration(*_find_seconds(each, costs), num_epochs(each)) for each in configurations]
        for arm, configurations in draw_configurations(spec).items()
    }
    limits = num_search_trials(spec, arms)
    luck = random.Random(derive_seed(spec.seed, "plan"))
    runs = [_play(spec, limits, drawn, slots, luck, index) for index in range(_num_orders(limits))]
    found = count_costs(spec)
    total, differing = sum(count for count, _ in found.values()), find_differing(found)
    arm_plans = tuple(
        _plan_arm(spec, arm, limit, max(each.num_epochs for each in drawn[arm]), runs) for arm, limit in limits.items()
    )
    known = list(costs.values())
    wall, core = _find_times(spec, runs, slots, known) if known else (None, None)
    return Plan(
        arms=arm_plans,
        slots=slots,
        cpus=spec.resources.cpu,
        gpus=spec.resources.gpu,
        costs=tuple(
            MeasuredCost({name: value for name, value in key if name in differing}, count / total, costs.get(key))
            for key, (count, _) in found.items()
        ),
        wall_seconds=wall,
        core_hours=None if core is None else core.times(spec.resources.cpu),
        gpu_hours=None if core is None else core.times(spec.resources.gpu),
        memory_bytes=data_bytes + slots * max(0, max(cost.memory_bytes for cost in known) - data_bytes)
        if known
        else None,
        disk=None if storage is None else build_disk_plan(spec, arm_plans, _count_trials(runs), slots, storage),
    )


def num_epochs(parameters: Mapping[str, Value]) -> int:
    """Epochs of a trial that runs to its end."""
    epochs = parameters.get("epochs", SETTINGS["epochs"].default)
    assert isinstance(epochs, int)
    return epochs


@dataclass(frozen=True)
class _Configuration:
    """What a trial with some settings takes: seconds of an epoch, of its start and of its test images; epochs."""

    epoch_seconds: float
    setup_seconds: float
    test_seconds: float
    num_epochs: int


def _count_played(limits: Mapping[str, int | None]) -> dict[str, int]:
    """Trials of each arm that are played."""
    most = _MAX_SIMULATED_LOOKS // (_MIN_ORDERS * _MAX_LOOKS * len(limits))
    most = max(_MIN_TRIALS, min(_MAX_TRIALS, most))
    return {arm: min(most, limit or _UNKNOWN_TRIALS) for arm, limit in limits.items()}


def _num_orders(limits: Mapping[str, int | None]) -> int:
    num_looks = sum(_count_played(limits).values()) * _MAX_LOOKS
    return max(_MIN_ORDERS, min(_MAX_ORDERS, _MAX_SIMULATED_LOOKS // num_looks))


def _choose_looks(spec: SweepSpec, num_epochs: int) -> tuple[int, ...]:
    """The epochs of a trial after which its rule looks at it, to the last; curves are flat, so that no other counts."""
    rule = spec.early_terminate
    if rule is None:
        return (num_epochs,)
    looks: Sequence[int] = range(1, num_epochs) if rule.judges_every_epoch else rule.rungs(num_epochs)
    return (*thin([epoch for epoch in looks if epoch < num_epochs], _MAX_LOOKS), num_epochs)


@dataclass(frozen=True)
class _Run:
    """What one search of made-up trials came to, scaled to what the budgets allow.

    Attributes:
        epochs: Of the search, by arm.
        trials: Of the search, by arm.
        ran: Epochs of each trial that was played, by arm.
        search_seconds: Of all slots together, in the search.
        wall_seconds: Of the search.
        confirm: Seconds of each retraining after it.
    """

    epochs: Mapping[str, float]
    trials: Mapping[str, float]
    ran: Mapping[str, tuple[int, ...]]
    search_seconds: float
    wall_seconds: float
    confirm: tuple[float, ...]

    @property
    def busy_seconds(self) -> float:
        """Of all slots together."""
        return self.search_seconds + sum(self.confirm)


def _play(
    spec: SweepSpec,
    limits: Mapping[str, int | None],
    drawn: Mapping[str, Sequence[_Configuration]],
    slots: int,
    luck: random.Random,
    index: int,
) -> _Run:
    """One search of made-up trials, and the retrainings after it.

    The level of a trial is drawn, and its curve flat. A searcher that learns proposes better and better ones: in half
    of the searches levels rise as trials come.
    """
    improves = METHODS[spec.method].learns and index % 2
    looks = {count: _choose_looks(spec, count) for count in {each.num_epochs for own in drawn.values() for each in own}}
    trials: dict[str, list[KnownTrial]] = {}
    confirm: list[float] = []
    for arm, count in _count_played(limits).items():
        own = drawn[arm]
        in_order = METHODS[spec.method].is_exhaustive and len(own) == count
        chosen = list(own) if in_order else [luck.choice(own) for _ in range(count)]
        trials[arm] = []
        for number, each in enumerate(chosen):
            level = luck.random() + (number / count if improves else 0.0)
            epochs, setup_seconds = looks[each.num_epochs], each.setup_seconds + TRIAL_SECONDS
            trials[arm].append(KnownTrial([level] * len(epochs), epochs, each.epoch_seconds, setup_seconds))
        for _ in range(num_confirm_trials(spec)):
            each = luck.choice(own)
            training_seconds = each.epoch_seconds * each.num_epochs
            confirm.append(each.setup_seconds + TRIAL_SECONDS + training_seconds + each.test_seconds)
    longest = max(looks)
    played = {arm: len(known) for arm, known in trials.items()}
    rules = ArmRules(tuple(trials), spec.early_terminate, longest, played, spec.seed)
    done = simulate(trials, {arm: rules[arm] for arm in trials}, slots)
    factors = _find_factors(spec, done, limits, played, slots)
    seconds = sum(ran.seconds * factors[arm] for arm, ran in done.arms.items())
    in_all = sum(ran.seconds for ran in done.arms.values())
    return _Run(
        {arm: sum(ran.num_epochs) * factors[arm] for arm, ran in done.arms.items()},
        {arm: len(ran.num_epochs) * max(1.0, factors[arm]) for arm, ran in done.arms.items()},
        {arm: ran.num_epochs for arm, ran in done.arms.items()},
        seconds,
        done.seconds * (seconds / in_all if in_all else 1.0),
        tuple(confirm),
    )


def _find_factors(
    spec: SweepSpec, done: Simulated, limits: Mapping[str, int | None], played: Mapping[str, int], slots: int
) -> dict[str, float]:
    """By how much each arm's search is longer, or shorter, than what was played of it."""
    budget, factors = spec.budget, {}
    seconds = sum(ran.seconds for ran in done.arms.values())
    for arm, ran in done.arms.items():
        limit = limits[arm]
        factor = 1.0 if limit is None else limit / played[arm]
        if limit is None and budget.epochs_per_arm is None and budget.hours is not None and seconds:
            factor = 3600 * budget.hours * slots / seconds
        if budget.epochs_per_arm is not None:
            share = budget.epochs_per_arm / sum(ran.num_epochs)
            factor = share if limit is None else min(factor, share)
        factors[arm] = factor
    return factors


def _find_seconds(parameters: Mapping[str, Value], costs: Mapping[CostKey, Cost]) -> tuple[float, float, float]:
    """Seconds of an epoch, of the start and of the test images; of an unknown cost, the mean of those known."""
    if not costs:
        return 0.0, 0.0, 0.0
    key = build_cost_key(parameters)
    known = [costs[key]] if key in costs else list(costs.values())
    return (
        statistics.fmean(cost.epoch_seconds for cost in known),
        statistics.fmean(cost.setup_seconds for cost in known),
        statistics.fmean(cost.test_seconds for cost in known),
    )


def _find_wall(run: _Run, slots: int) -> float:
    """Seconds until the last retraining ends: slots that an arm's end leaves idle take retrainings of others."""
    tail = (1 - 1 / slots) * 0.5 * max(run.confirm, default=0.0)
    return PROCESS_SECONDS + max(run.wall_seconds, run.busy_seconds / slots + tail)


def _plan_arm(spec: SweepSpec, arm: str, limit: int | None, longest: int, runs: Sequence[_Run]) -> ArmPlan:
    num_confirm = num_confirm_trials(spec)
    ran = [run.ran[arm] for run in runs]
    epochs = _spread([run.epochs[arm] for run in runs], Range(1.0, 1.0, 1.0))
    rule = spec.early_terminate
    rungs = () if rule is None else rule.rungs(longest)
    flat = sorted(each for one in ran for each in one)
    # A trial that is stopped at a rung has run until there.
    shown = (*thin(rungs, _MAX_LOOKS), longest)
    reached = {epoch: 1 - bisect_left(flat, epoch) / len(flat) for epoch in shown}
    confirmed = float(num_confirm * longest)
    return ArmPlan(arm, limit, num_confirm, add_ranges([epochs, Range(confirmed, confirmed, confirmed)]), reached)


def _count_trials(runs: Sequence[_Run]) -> dict[str, float]:
    """Search trials of each arm, at most."""
    return {arm: max(run.trials[arm] for run in runs) for arm in runs[0].trials}


def _find_times(spec: SweepSpec, runs: Sequence[_Run], slots: int, known: Sequence[Cost]) -> tuple[Range, Range]:
    """Seconds from the first trial to the last, and hours of all trials together."""
    speed = Range(
        statistics.fmean(cost.low_seconds / cost.epoch_seconds for cost in known),
        1.0,
        statistics.fmean(cost.high_seconds / cost.epoch_seconds for cost in known),
    )
    wall = _spread([_find_wall(run, slots) for run in runs], speed)
    core = _spread([run.busy_seconds / 3600 for run in runs], speed)
    if spec.budget.hours is None:
        return wall, core
    wall = _cap(wall, 3600 * spec.budget.hours + max(sum(run.confirm) / slots for run in runs))
    return wall, _cap(core, wall.high / 3600 * slots)


def _spread(values: Sequence[float], factors: Range) -> Range:
    ordered = sorted(values)
    tenth = round(0.1 * (len(ordered) - 1))
    low, high = ordered[tenth], ordered[len(ordered) - 1 - tenth]
    return Range(low * factors.low, statistics.median(ordered) * factors.mid, high * factors.high)


def _cap(found: Range, most: float) -> Range:
    return Range(min(found.low, most), min(found.mid, most), min(found.high, most))
