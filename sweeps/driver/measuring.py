"""Measures what trials cost where they would run: in processes with a trial's resources, all slots at work."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sweeps.errors import BadUsage
from sweeps.plan.build import build_plan
from sweeps.plan.costs import CostKey, list_measured
from sweeps.plan.plan import Plan
from trainer.config import ConfigError, Value

if TYPE_CHECKING:
    from sweeps.driver.preflight import Prepared
    from sweeps.spec import Resources
    from trainer.data.dataset import Dataset
    from trainer.timing import Cost

logger = logging.getLogger(__name__)
_MAX_AT_ONCE = 16  # slots that are kept at work
_MAX_SECONDS = 120.0  # then the sweep begins all the same, and what is not known by then is not known
_ROUNDS = 2  # in which all are measured, the later ones when Ray has settled


def plan_prepared(prepared: Prepared, *, measure: bool) -> Plan:
    """The plan of a sweep whose preconditions hold, on a Ray that runs.

    Args:
        prepared: The sweep.
        measure: Whether to train a few steps of each cost, or to leave the times out.

    Raises:
        BadUsage: A machine that would run a trial cannot.
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
