"""Intervals for a mean and for a share. Pure.

Below `MIN_BCA` values a BCa bootstrap interval is too narrow: with normal noise, 95 % intervals of 3, 6 and 10 values
contain the mean in 71, 86 and 91 % of cases (tests/benchmarks/statistics.md). Student's t is used there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Vector = npt.NDArray[np.float64]

CONFIDENCE = 0.95
MIN_BCA = 20
NUM_RESAMPLES = 9999


class IntervalMethod(StrEnum):
    """How an interval was found."""

    STUDENT_T = "Student's t"
    BCA = "BCa bootstrap"
    CLOPPER_PEARSON = "Clopper-Pearson"
    JACKKNIFE = "jackknife with Student's t"


@dataclass(frozen=True)
class Interval:
    """A confidence interval, in the unit of what it is about."""

    low: float
    high: float
    method: IntervalMethod

    def __contains__(self, value: float) -> bool:
        """Whether a value lies in it, its ends included."""
        return self.low <= value <= self.high


def mean_interval(
    values: Vector, confidence: float = CONFIDENCE, bounds: tuple[float, float] | None = None, seed: int = 0
) -> Interval | None:
    """The interval for the mean of independent values: Student's t below 20 of them, BCa from there.

    None for fewer than two values, and for equal ones: without spread nothing says how far off their mean is. No
    interval holds its confidence where rare values are likely to be missing: if one retraining in five ends far lower,
    half of all 3 seeds show nothing of it.

    Args:
        values: Finite, shape (n,).
        confidence: Between 0 and 1.
        bounds: What the mean cannot lie outside, such as (0, 1) of an accuracy; the interval is cut there.
        seed: Of the resampling.

    Raises:
        ValueError: A value is not finite.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 14.3 (BCa); its undercoverage for
    few values: Hesterberg 2015, "What Teachers Should Know About the Bootstrap".
    """
    interval = student_interval(values, confidence)
    if interval is not None and len(values) >= MIN_BCA:
        interval = Interval(*bca_ends(values, confidence, seed), IntervalMethod.BCA)
    if interval is None or bounds is None:
        return interval
    return replace(interval, low=max(interval.low, bounds[0]), high=min(interval.high, bounds[1]))


def student_interval(values: Vector, confidence: float = CONFIDENCE) -> Interval | None:
    """Student's t interval for the mean of independent values; None for fewer than two, and for equal ones.

    It suits paired differences with any number of seeds: where two arms have noise of the same shape, their difference
    is symmetric, and the interval then holds its confidence or more (tests/benchmarks/statistics.md).

    Args:
        values: Finite, shape (n,).
        confidence: Between 0 and 1.

    Raises:
        ValueError: A value is not finite.
    """
    from scipy import stats

    if not np.isfinite(values).all():
        raise ValueError("values must be finite: give a diverged retraining the worst value first")
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean() - half), float(values.mean() + half), IntervalMethod.STUDENT_T)


def bca_ends(values: Vector, confidence: float = CONFIDENCE, seed: int = 0) -> tuple[float, float]:
    """The ends of the BCa bootstrap interval for the mean of at least two values that are not all equal, shape (n,)."""
    from scipy import stats

    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=NUM_RESAMPLES,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def share_interval(successes: float, number: int, confidence: float = CONFIDENCE) -> Interval | None:
    """The interval for the probability behind `successes` of `number` attempts; None without attempts.

    It holds its confidence for any number of attempts. A tie may count as half a success.

    Raises:
        ValueError: There are more successes than attempts, or fewer than none.

    Source: Clopper and Pearson 1934, in the form of beta quantiles, which also takes halves.
    """
    from scipy import stats

    if not 0 <= successes <= number:
        raise ValueError(f"successes must lie between 0 and {number}, not {successes}")
    if number == 0:
        return None
    tail, failures = (1 - confidence) / 2, number - successes
    low = stats.beta.ppf(tail, successes, failures + 1) if successes > 0 else 0.0
    high = stats.beta.isf(tail, successes + 1, failures) if failures > 0 else 1.0
    return Interval(float(low), float(high), IntervalMethod.CLOPPER_PEARSON)
