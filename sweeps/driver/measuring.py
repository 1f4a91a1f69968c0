"""Measures what trials cost where they would run: in processes with a trial's resources, all slots at work."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sweeps.errors import BadUsage
from sweeps.plan.build import build_plan
from sweeps.plan.costs import CostKey, count_costs, list_measured
from sweeps.plan.disk import Storage
from sweeps.plan.plan import Plan
from sweeps.running.preparation import Preparation
from tracking.analysis.labels import format_bytes
from trainer.config import TABLES, ConfigError, Value, build_trial_config
from trainer.config.own_rows import is_own

if TYPE_CHECKING:
    from sweeps.driver.preflight import Prepared
    from sweeps.home import Home
    from sweeps.spec import Resources, SweepSpec
    from trainer.cost import Cost, Footprint
    from trainer.data.dataset import Dataset

logger = logging.getLogger(__name__)
_MAX_AT_ONCE = 16  # slots that are kept at work
_MAX_SECONDS = 120.0  # then the sweep begins all the same, and what is not known by then is not known
_NUM_METRICS = 30  # of an epoch, where it was not measured
_ROUNDS = 2  # in which all are measured, the later ones when Ray has settled


def plan_prepared(prepared: Prepared, home: Home, *, measure: bool, preparation: Preparation | None = None) -> Plan:
    """The plan of a sweep whose preconditions hold, on a Ray that runs.

    Args:
        prepared: The sweep.
        home: Where its results would go.
        measure: Whether to train a few steps of each cost, or to leave the times out.
        preparation: Hears of each step; None for nobody.

    Raises:
        BadUsage: A machine that would run a trial cannot.
    """
    data, spec, preparation = prepared.data, prepared.spec, preparation or Preparation()
    costs: Mapping[CostKey, Cost] = {}
    if measure:
        with preparation.step("measuring what trials cost") as step:
            costs = measure_costs(list_measured(spec), data, spec.resources, prepared.slots)
            step.result = f"measured: {len(costs)} kinds of trials"
    if prepared.footprint is None:
        return build_plan(spec, prepared.slots, costs, data.num_bytes)
    with preparation.step("measuring a checkpoint"):
        found = prepared.footprint.result()
    footprint = add_measured(found, list(costs.values()))
    return build_plan(spec, prepared.slots, costs, data.num_bytes, find_storage(footprint, home))


def find_storage(footprint: Footprint | None, home: Home) -> Storage | None:
    """The disk that a sweep's results go to, where it is known what the sweep leaves there."""
    if footprint is None:
        return None
    return Storage(footprint, shutil.disk_usage(home.path).free, home.artifact_root is not None)


def check_room(plan: Plan, home: Home) -> str:
    """One sentence on a disk that may become full as the sweep goes on; "" where there is room, or nothing is known.

    Raises:
        BadUsage: Not even the trials that run first have room.
    """
    disk = plan.disk
    if disk is None or disk.peak_bytes <= disk.free_bytes:
        return ""
    free, checkpoint = format_bytes(disk.free_bytes), format_bytes(disk.checkpoint_bytes)
    remedy = "free some, or set SWEEPS_HOME elsewhere"
    if disk.first_bytes > disk.free_bytes:
        raise BadUsage(
            f"{home.path}: {free} free, and {plan.slots} trials at a time, with checkpoints of {checkpoint}, take "
            f"{format_bytes(disk.first_bytes)} as soon as they run; {remedy}"
        )
    return (
        f"{home.path}: {free} free, and the sweep takes up to {format_bytes(disk.peak_bytes)} at a time, with "
        f"checkpoints of {checkpoint}; {remedy}"
    )


def find_footprint(spec: SweepSpec, data: Dataset) -> Footprint | None:
    """What the trial that needs most of the disk leaves there; None where nothing is known of the user's own network.

    Args:
        spec: The sweep.
        data: The images.
    """
    from trainer.cost import Footprint
    from trainer.timing import measure_footprint

    found = []
    for parameters in _list_largest(spec, len(data.classes)):
        try:
            found.append(measure_footprint(parameters, data))
        except (ConfigError, ArithmeticError, RuntimeError, ValueError) as error:  # its trials will say it as well
            logger.warning("a checkpoint could not be measured: %s", error)
    if not found:
        return None
    return Footprint(max(each.checkpoint_bytes for each in found), max(each.num_metrics for each in found))


def add_measured(footprint: Footprint | None, costs: Sequence[Cost]) -> Footprint | None:
    """A footprint that is not below what was measured where trials run; None where nothing is known at all."""
    from trainer.cost import Footprint

    if footprint is None and not costs:
        return None
    found = footprint or Footprint(0, _NUM_METRICS)
    largest = max((cost.checkpoint_bytes for cost in costs), default=0)
    return Footprint(max(found.checkpoint_bytes, largest), found.num_metrics)


def _list_largest(spec: SweepSpec, num_classes: int) -> list[dict[str, Value]]:
    """To each optimizer, with and without an average of the weights, the configuration with the largest network.

    Code of the user's does not run here: his optimizer counts as Adam, of his network nothing is known.
    """
    from trainer.timing import count_weights

    largest: dict[tuple[str, bool], tuple[tuple[int, int], dict[str, Value]]] = {}
    for _, drawn in count_costs(spec).values():
        parameters = _replace_own(drawn)
        config = build_trial_config(parameters)
        if is_own(config.model.name):
            continue
        size = count_weights(parameters, num_classes), sum(map(bool, config.optimizer.settings.values()))
        kind = config.optimizer.name, config.ema_decay is not None
        if kind not in largest or size > largest[kind][0]:
            largest[kind] = size, parameters
    return [parameters for _, parameters in largest.values()]


def _replace_own(parameters: Mapping[str, Value]) -> dict[str, Value]:
    """A configuration without code of the user's but for its network."""
    config, own = build_trial_config(parameters), set[str]()
    for table in TABLES:
        choice = getattr(config, table)
        if table != "model" and is_own(choice.name):
            own |= {table, *choice.settings}
    return {name: value for name, value in parameters.items() if name not in own} | (
        {"optimizer": "adam"} if "optimizer" in own else {}
    )


def measure_costs(
    examples: Mapping[CostKey, Mapping[str, Value]], data: Dataset, resources: Resources, slots: int
) -> dict[CostKey, Cost]:
    """What each of some trainings costs while as many run as can; a machine that is full is slower than an idle one.

    Args:
        examples: To each cost, a configuration that has it.
        data: The images.
        resources: Of a trial.
        slots: Trials at a time.

    Returns:
        The costs that could be measured.

    Raises:
        BadUsage: A machine that would run such a trial cannot.
    """
    import ray

    num_meters = max(1, min(slots, _MAX_AT_ONCE))
    start = ray.remote(num_cpus=resources.cpu, num_gpus=resources.gpu)(_Meter).remote
    stored, device = ray.put(data), "cuda" if resources.gpu else "cpu"
    meters = [start(stored, device, resources.cpu) for _ in range(num_meters)]
    deadline = time.monotonic() + _MAX_SECONDS
    try:
        # No process starts while another measures.
        ray.get([meter.warm_up.remote() for meter in meters], timeout=_MAX_SECONDS)
        jobs = list(examples) * max(_ROUNDS, math.ceil(num_meters / len(examples)))
        running = [meters[index % num_meters].measure.remote(dict(examples[key])) for index, key in enumerate(jobs)]
        found: dict[CostKey, list[Cost]] = {}
        for key, task in zip(jobs, running, strict=True):
            try:
                cost = ray.get(task, timeout=max(0.1, deadline - time.monotonic()))
                found.setdefault(key, []).append(cost)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, ConfigError):
                    raise BadUsage(f"a trial of this sweep cannot run where trials run: {error.cause}") from error
                logger.warning("a training could not be measured: %s", error.cause)  # its trials will say it as well
            except ray.exceptions.RayError as error:  # its trials will fail as well, and say why
                logger.warning("a training could not be measured: %s", error)
    except ray.exceptions.RayError as error:  # the cluster has no room for them now, say
        logger.warning("nothing could be measured: %s", error)
        return {}
    finally:
        for meter in meters:
            ray.kill(meter)
    return {key: _merge(costs) for key, costs in found.items() if costs}


class _Meter:
    """A process that trains a few steps, as many times as it is asked to."""

    def __init__(self, data: Any, device: str, num_threads: int) -> None:
        self._data, self._device, self._num_threads = data, device, num_threads

    def warm_up(self) -> None:
        """Imports what takes seconds to import."""
        import trainer.timing  # noqa: F401

    def measure(self, parameters: Mapping[str, Value]) -> Cost:
        """What a training costs here."""
        from trainer.timing import measure_cost

        return measure_cost(parameters, self._data, device=self._device, num_threads=self._num_threads)


def _merge(costs: list[Cost]) -> Cost:
    """The fastest of several measurements: what else a machine does, as a Ray that starts, can only make it slower."""
    fastest = min(costs, key=lambda cost: cost.epoch_seconds)
    return replace(
        fastest,
        setup_seconds=min(each.setup_seconds for each in costs),
        memory_bytes=max(each.memory_bytes for each in costs),
    )
