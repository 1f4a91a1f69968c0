"""What a sweep will come to before it starts, as ranges: trials, epochs by rung, time, money, memory and disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trainer.config import Value

if TYPE_CHECKING:
    from trainer.cost import Cost


@dataclass(frozen=True)
class Range:
    """A number that is not known exactly: low, most likely, high."""

    low: float
    mid: float
    high: float

    def times(self, factor: float) -> Range:
        """All three, so many times."""
        return Range(self.low * factor, self.mid * factor, self.high * factor)


@dataclass(frozen=True)
class ArmPlan:
    """What one arm will come to.

    Attributes:
        arm: Its name.
        num_trials: Search trials; None where only a budget of time or epochs ends the search.
        num_confirm: Retrainings.
        epochs: Of search and retrainings together.
        reached: Epoch of a rung, or the last, to the share of the search trials that get there, most likely.
    """

    arm: str
    num_trials: int | None
    num_confirm: int
    epochs: Range
    reached: Mapping[int, float]


@dataclass(frozen=True)
class MeasuredCost:
    """One of the costs that trials of the sweep have.

    Attributes:
        settings: What tells it from the others.
        share: Of all drawn configurations.
        cost: As measured; None where nothing was.
    """

    settings: Mapping[str, Value]
    share: float
    cost: Cost | None


@dataclass(frozen=True)
class DiskPlan:
    """The disk that a sweep takes.

    Attributes:
        checkpoint_bytes: The largest checkpoint of a trial.
        first_bytes: As soon as all slots are taken.
        peak_bytes: At a time, at most: all trials that wait, or whose weights may be registered, with a checkpoint.
        end_bytes: When it has ended: MLflow, the journal, report, model and logs.
        free_bytes: Room in the results folder before the start.
    """

    checkpoint_bytes: int
    first_bytes: int
    peak_bytes: int
    end_bytes: Range
    free_bytes: int


@dataclass(frozen=True)
class Plan:
    """What a sweep will come to; what hangs on seconds is None where nothing was measured.

    Attributes:
        arms: One for each.
        slots: Trials at a time.
        cpus: Cores of a trial.
        gpus: GPUs of a trial.
        costs: Each cost that a trial may have, the most frequent first.
        wall_seconds: From the first trial's start to the last one's end.
        core_hours: Cores times hours.
        gpu_hours: GPUs times hours.
        memory_bytes: Of all trials that run at a time, with the images.
        disk: What it takes; None where the size of a checkpoint is not known.
    """

    arms: tuple[ArmPlan, ...]
    slots: int
    cpus: int
    gpus: float
    costs: tuple[MeasuredCost, ...]
    wall_seconds: Range | None
    core_hours: Range | None
    gpu_hours: Range | None
    memory_bytes: int | None
    disk: DiskPlan | None

    @property
    def epochs(self) -> Range:
        """Of all arms."""
        return add_ranges([arm.epochs for arm in self.arms])

    def price(self, per_core_hour: float, per_gpu_hour: float) -> Range | None:
        """What it costs, in the currency of the prices."""
        if self.core_hours is None or self.gpu_hours is None:
            return None
        return add_ranges([self.core_hours.times(per_core_hour), self.gpu_hours.times(per_gpu_hour)])

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they stand in the manifest of a sweep."""
        return {**asdict(self), "epochs": asdict(self.epochs)}


def add_ranges(ranges: Sequence[Range]) -> Range:
    """The sum, end by end."""
    return Range(sum(each.low for each in ranges), sum(each.mid for each in ranges), sum(each.high for each in ranges))


def thin(epochs: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly spread, the first and the last among them; all where there are no more."""
    if len(epochs) <= count:
        return list(epochs)
    return [epochs[round(index * (len(epochs) - 1) / (count - 1))] for index in range(count)]
