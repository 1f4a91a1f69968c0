"""Measures what trials cost where they would run: as Ray tasks with a trial's resources, all slots at work."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweeps.costs import CostKey
from sweeps.plan import Plan
from sweeps.planning import build_plan, list_measured
from trainer.config import Value

if TYPE_CHECKING:
    from sweeps.preflight import Prepared
    from sweeps.spec import Resources
    from trainer.data import Dataset
    from trainer.timing import Cost

logger = logging.getLogger(__name__)
_MAX_AT_ONCE = 16  # slots that are kept at work


def plan_prepared(prepared: Prepared, *, measure: bool) -> Plan:
    """The plan of a sweep whose preconditions hold, on a Ray that runs.

    Args:
        prepared: The sweep.
        measure: Whether to train a few steps of each cost, or to leave the times out.
    """
    data, spec = prepared.data, prepared.spec
    costs: Mapping[CostKey, Cost] = {}
    if measure:
        costs = measure_costs(list_measured(spec), data, spec.resources, prepared.slots)
    return build_plan(spec, prepared.slots, costs, data.train_images_NHWC.nbytes + data.test_images_NHWC.nbytes)


def measure_costs(
    examples: Mapping[CostKey, Mapping[str, Value]], data: Dataset, resources: Resources, slots: int
) -> dict[CostKey, Cost]:
    """What each of some trainings costs while as many run as can; a machine that is full is slower than an idle one.

    Args:
        examples: To each cost, a configuration that has it.
        data: The pictures.
        resources: Of a trial.
        slots: Trials at a time.

    Returns:
        The costs that could be measured.
    """
    import ray

    copies = max(1, math.ceil(min(slots, _MAX_AT_ONCE) / len(examples)))
    remote = ray.remote(num_cpus=resources.cpu, num_gpus=resources.gpu, max_retries=1)(_measure)
    stored, device = ray.put(data), "cuda" if resources.gpu else "cpu"
    tasks = {
        key: [remote.remote(dict(example), stored, device, resources.cpu) for _ in range(copies)]
        for key, example in examples.items()
    }
    found = {}
    for key, running in tasks.items():
        try:
            found[key] = _merge(ray.get(running))
        except ray.exceptions.RayError as error:  # its trials will fail as well, and say why
            logger.warning("a training could not be measured: %s", error)
    return found


def _measure(parameters: Mapping[str, Value], data: Any, device: str, num_threads: int) -> Cost:
    from trainer.timing import measure_cost

    return measure_cost(parameters, data, device=device, num_threads=num_threads)


def _merge(costs: list[Cost]) -> Cost:
    """One cost of several measurements."""
    from dataclasses import replace

    return replace(
        costs[0],
        epoch_seconds=statistics.median(each.epoch_seconds for each in costs),
        low_seconds=min(each.low_seconds for each in costs),
        high_seconds=max(each.high_seconds for each in costs),
        setup_seconds=statistics.median(each.setup_seconds for each in costs),
        test_seconds=statistics.median(each.test_seconds for each in costs),
        memory_bytes=max(each.memory_bytes for each in costs),
    )
