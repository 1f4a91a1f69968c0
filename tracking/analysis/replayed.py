"""A trial that was trained again beside what was recorded of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tracking.names import (
    LR,
    NUM_GRADIENT_EVALUATIONS,
    NUM_SAMPLES,
    NUM_STEPS,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
)
from tracking.table import TrialRow

COMPARED = (
    TRAIN_LOSS, TRAIN_ACCURACY, VAL_LOSS, VAL_ACCURACY, LR, NUM_SAMPLES, NUM_STEPS, NUM_GRADIENT_EVALUATIONS,
)  # fmt: skip
CLOSE = 1e-3  # a tenth of a point of accuracy: sums in another order stay below it where training is not chaotic


class Sameness(StrEnum):
    """How a replay came out."""

    IDENTICAL = "identical to the bit"
    CLOSE = "equal within rounding"
    DIFFERENT = "different"


@dataclass(frozen=True)
class ReplayedEpoch:
    """One epoch beside its record.

    Attributes:
        values: Metric -> value now; `recorded` -> value then. What was or is not finite is left out.
        largest: The metric that differs most, "" where all are equal to the bit.
        difference: Of that metric: absolute, or relative to a recorded value above 1; infinite where one of the two is
            not known.
    """

    epoch: int
    values: Mapping[str, float]
    recorded: Mapping[str, float]
    largest: str
    difference: float


@dataclass(frozen=True)
class Outcome:
    """What all epochs of a replay say.

    Attributes:
        sameness: Of all of them.
        difference: The largest one.
        first_epoch: The first epoch with any difference, None for none.
        first_far_epoch: The first with a difference above `CLOSE`, None for none.
    """

    sameness: Sameness
    difference: float
    first_epoch: int | None
    first_far_epoch: int | None


def compare_epoch(trial: TrialRow, epoch: int, values: Mapping[str, float]) -> ReplayedEpoch:
    """An epoch that was trained again beside its record; times are not compared.

    Args:
        trial: As it was recorded.
        epoch: From 1.
        values: Metric -> value, finite or not.
    """
    known = {name: dict(trial.history.get(name, ())) for name in COMPARED}
    recorded = {name: points[epoch] for name, points in known.items() if epoch in points}
    return _compare(epoch, {name: values[name] for name in COMPARED if name in values}, recorded)


def compare_test(trial: TrialRow, epoch: int, values: Mapping[str, float]) -> ReplayedEpoch:
    """The same for what was read from the test split, which is known of a trial as a whole.

    Args:
        trial: As it was recorded.
        epoch: After which the split was read.
        values: Metric of the test split -> value.
    """
    return _compare(epoch, values, {name: trial.summary[name] for name in values if name in trial.summary})


def _compare(epoch: int, values: Mapping[str, float], recorded: Mapping[str, float]) -> ReplayedEpoch:
    now = {name: value for name, value in values.items() if math.isfinite(value)}
    differences = {name: _measure(now.get(name), recorded.get(name)) for name in (*now, *recorded)}
    largest = max(differences, key=lambda name: differences[name], default="")
    difference = differences.get(largest, 0.0)
    return ReplayedEpoch(epoch, now, dict(recorded), largest if difference else "", difference)


def _measure(now: float | None, then: float | None) -> float:
    if now is None or then is None:
        return math.inf
    return abs(now - then) / max(1.0, abs(then))


def judge_replay(epochs: Iterable[ReplayedEpoch]) -> Outcome:
    """What all epochs say together."""
    differing = [each for each in epochs if each.difference]
    far = [each for each in differing if each.difference > CLOSE]
    largest = max((each.difference for each in differing), default=0.0)
    sameness = Sameness.DIFFERENT if far else Sameness.CLOSE if differing else Sameness.IDENTICAL
    return Outcome(sameness, largest, differing[0].epoch if differing else None, far[0].epoch if far else None)


def tell_replay(outcome: Outcome, num_epochs: int) -> str:
    """One sentence on how a replay came out."""
    if outcome.sameness is Sameness.IDENTICAL:
        return f"identical to the bit, in {num_epochs} {'epoch' if num_epochs == 1 else 'epochs'}"
    if outcome.sameness is Sameness.CLOSE:
        return f"equal within {outcome.difference:.1e}, with the first difference in epoch {outcome.first_epoch}"
    sentence = f"differs from epoch {outcome.first_far_epoch} on by more than {CLOSE:g}"
    if outcome.first_epoch != outcome.first_far_epoch:
        sentence += f"; the first difference, a smaller one, is in epoch {outcome.first_epoch}"
    return sentence


def list_reasons(manifest: Mapping[str, object], here: Mapping[str, object]) -> tuple[str, ...]:
    """Why a replay may differ: what the sweep ran with and this process does not, by the sweep's manifest.

    Args:
        manifest: Of the sweep; one that was resumed has the `drivers` that it had.
        here: The same for this process.
    """
    drivers = manifest.get("drivers")
    then = [_flatten(each) for each in (drivers if isinstance(drivers, Sequence) else [manifest])]
    now = _flatten(here)
    reasons = []
    for name, value in now.items():
        values = list(dict.fromkeys(each[name] for each in then if name in each))
        if values and values != [value]:
            reasons.append(f"{name} was {' and '.join(values)}, and is {value}")
    return tuple(reasons)


def _flatten(described: object) -> dict[str, str]:
    """What decides on the bits of a training: versions, processor, and the code itself."""
    if not isinstance(described, Mapping):
        return {}
    packages = described.get("packages")
    versions = packages if isinstance(packages, Mapping) else {}
    found = {
        "the processor": described.get("processor"),
        "the number of processors": described.get("num_cpus"),
        "Python": described.get("python"),
        **{str(name): versions.get(name) for name in ("torch", "numpy", "sweeps")},
        "the commit of the working directory": described.get("git_commit"),
    }
    return {name: str(value) for name, value in found.items() if value}
