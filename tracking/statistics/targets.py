"""How long trials take to reach a target, when not all of them do. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracking.statistics.intervals import CONFIDENCE

if TYPE_CHECKING:
    import numpy.typing as npt

    from tracking.statistics.intervals import Vector


@dataclass(frozen=True, eq=False)
class TargetTimes:
    """How soon an arm's trials reach a target.

    Attributes:
        num_trials: All of them; `num_reached` got there.
        median: The cost at which half of them have; None where fewer than half do.
        low, high: The interval for the median; None for an end that the trials do not settle.
        costs: Costs at which a trial got there, rising, shape (r,).
        shares: The share of trials that have got there by each of these costs, shape (r,).
    """

    num_trials: int
    num_reached: int
    median: float | None
    low: float | None
    high: float | None
    costs: Vector
    shares: Vector


def time_to_target(costs: Vector, reached: npt.NDArray[np.bool_], confidence: float = CONFIDENCE) -> TargetTimes:
    """The median cost to the target, with trials that ended without it as censored: not as if they were left out.

    Give infinity as the cost of a trial that never would have got there: one that diverged, and one that was stopped
    early for being behind. Censoring at the epoch of the stop would count on it as if it were like the others.

    Args:
        costs: Epochs or seconds at which a trial got there, or at which it ended without; above 0, shape (n,).
        reached: Whether it got there, shape (n,).
        confidence: Of the interval.

    Raises:
        ValueError: The shapes differ, a cost is NaN or not above 0, or a trial got there at infinite cost.

    Source: Kaplan and Meier 1958, equation 2b; the interval of the median: Brookmeyer and Crowley 1982, with the
    log-log transformation and Greenwood's variance.
    """
    if costs.shape != reached.shape or not (costs > 0).all() or np.isinf(costs[reached]).any():
        raise ValueError("each trial needs a cost above 0, a finite one if it got there")
    steps = np.unique(costs[reached])
    at_risk = np.array([(costs >= step).sum() for step in steps], dtype=float)
    events = np.array([(costs[reached] == step).sum() for step in steps], dtype=float)
    survival = np.cumprod(1 - events / at_risk)
    low, high = _survival_band(survival, events, at_risk, confidence)
    return TargetTimes(
        num_trials=len(costs),
        num_reached=int(reached.sum()),
        median=_first_below_half(steps, survival),
        low=_first_below_half(steps, low),
        high=_first_below_half(steps, high),
        costs=steps,
        shares=1 - survival,
    )


def _survival_band(survival: Vector, events: Vector, at_risk: Vector, confidence: float) -> tuple[Vector, Vector]:
    """The ends of the interval for the share that has not got there, after each step."""
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
        half = stats.norm.ppf((1 + confidence) / 2) * greenwood / np.abs(np.log(survival))
        low, high = survival ** np.exp(half), survival ** np.exp(-half)
    everyone = survival <= 0  # nothing is known of the variance there
    return np.where(everyone, 0.0, low), np.where(everyone, 1.0, high)


def _first_below_half(steps: Vector, survival: Vector) -> float | None:
    below = steps[survival <= 0.5 + 1e-12]
    return float(below[0]) if len(below) and math.isfinite(below[0]) else None
