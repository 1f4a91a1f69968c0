"""What the retrainings of one arm come to. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracking.statistics.intervals import CONFIDENCE, Interval, mean_interval

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector

Outcomes = Mapping[int, float]
"""Number of a seed, from 0 and the same for all arms -> what its retraining came to; NaN or infinity: it diverged.
A seed that is missing was not trained, or failed for a reason that says nothing about its settings."""


@dataclass(frozen=True)
class ArmSummary:
    """The retrainings of one arm.

    Attributes:
        mean: Over all seeds, diverged ones as the worst value.
        sd: Standard deviation with n - 1; None for one seed.
        interval: For the mean; None for one seed, and where all values are equal.
        num_diverged: How many of the `num_seeds` diverged.
    """

    mean: float
    sd: float | None
    interval: Interval | None
    num_seeds: int
    num_diverged: int


def summarize_arm(
    outcomes: Outcomes, worst: float, confidence: float = CONFIDENCE, bounds: tuple[float, float] | None = None
) -> ArmSummary | None:
    """Mean, standard deviation and interval of an arm's retrainings; None for an arm without any.

    Args:
        outcomes: In the unit of the metric.
        worst: What a diverged retraining counts as: 0 for an accuracy. It stays in the mean (protocol, rule 7).
        confidence: Of the interval.
        bounds: What the mean cannot lie outside.

    Raises:
        ValueError: `worst` is not finite.
    """
    if not outcomes:
        return None
    values = fill_diverged(outcomes, worst)
    return ArmSummary(
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        interval=mean_interval(values, confidence, bounds),
        num_seeds=len(values),
        num_diverged=sum(not math.isfinite(value) for value in outcomes.values()),
    )


def fill_diverged(outcomes: Outcomes, worst: float) -> Vector:
    """The values by rising seed, shape (n,), with `worst` for those that diverged.

    Raises:
        ValueError: `worst` is not finite.
    """
    if not math.isfinite(worst):
        raise ValueError(f"worst must be finite, not {worst}")
    values = np.array([outcomes[seed] for seed in sorted(outcomes)], dtype=float)
    return np.where(np.isfinite(values), values, worst)


def fill_by_seed(outcomes: Mapping[str, Outcomes], worst: float) -> dict[str, dict[int, float]]:
    """Arm -> seed -> value, with `worst` for those that diverged; arms in their order, seeds rising.

    Raises:
        ValueError: `worst` is not finite.
    """
    return {
        arm: dict(zip(sorted(each), fill_diverged(each, worst).tolist(), strict=True)) for arm, each in outcomes.items()
    }
