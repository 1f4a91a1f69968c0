"""Whether what a trial came to early says what it comes to in the end. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracking.statistics.intervals import CONFIDENCE

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector

MIN_CORRELATION = 0.7  # protocol, rule 5
MIN_TRIALS = 4  # the interval needs them


@dataclass(frozen=True)
class RungCorrelation:
    """How the order of trials at a rung agrees with that at the end.

    Attributes:
        num_trials: Those that have a value at both.
        correlation: Spearman's, between -1 and 1.
        low, high: Its interval.
    """

    num_trials: int
    correlation: float
    low: float
    high: float

    @property
    def is_doubtful(self) -> bool:
        """Whether ranking by the rung is not to be trusted."""
        return self.correlation < MIN_CORRELATION


def correlate_rung(at_rung: Vector, at_end: Vector, confidence: float = CONFIDENCE) -> RungCorrelation | None:
    """Spearman's rank correlation of trials' values at a rung with those at the end.

    Only trials that went on to the end count. If the rung chose them, they are the better ones, and the correlation
    over all trials would be higher.

    Args:
        at_rung: Shape (n,), NaN for a trial without a value there.
        at_end: Shape (n,), NaN for a trial that did not get there.
        confidence: Of the interval.

    Returns:
        None for fewer than 4 trials, and where all values are equal on one side.

    Source: Spearman 1904; interval by Fisher's z with the standard error of Bonett and Wright 2000.
    """
    from scipy import stats

    both = np.isfinite(at_rung) & np.isfinite(at_end)
    first, last, number = at_rung[both], at_end[both], int(both.sum())
    if number < MIN_TRIALS or np.ptp(first) == 0 or np.ptp(last) == 0:
        return None
    correlation = float(np.corrcoef(stats.rankdata(first), stats.rankdata(last))[0, 1])
    limited = min(max(correlation, -1 + 1e-9), 1 - 1e-9)
    half = stats.norm.ppf((1 + confidence) / 2) * math.sqrt((1 + limited**2 / 2) / (number - 3))
    low, high = math.tanh(math.atanh(limited) - half), math.tanh(math.atanh(limited) + half)
    return RungCorrelation(number, correlation, low, high)


def count_survivors(num_epochs: Vector, rungs: Vector) -> tuple[int, ...]:
    """How many trials went on beyond each rung.

    Args:
        num_epochs: Epochs that each trial was trained, shape (n,).
        rungs: Their epochs, shape (r,).
    """
    return tuple(int((num_epochs > rung).sum()) for rung in rungs)
