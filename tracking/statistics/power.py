"""How many seeds a comparison needs. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector

POWER = 0.8
MAX_SEEDS = 1000  # more is no advice


def num_more_seeds(differences: Vector, margin: float, alpha: float) -> int | None:
    """How many seeds to add for 80 % power, from the noise of the paired differences so far; None above 1,000 in all.

    The difference to be found is the one that was measured, or the margin where that is larger: below it nothing
    matters. With fewer than two seeds, or without noise, it is what the sign-flip test needs at the least.

    Args:
        differences: Shape (n,), in the unit of the metric.
        margin: The least difference that matters, above 0.
        alpha: The level of the test of this pair, which is divided by the number of pairs where there are several.
    """
    number = len(differences)
    sd = float(differences.std(ddof=1)) if number > 1 else 0.0
    difference = max(abs(float(differences.mean())) if number else 0.0, margin)
    needed = seeds_needed(sd, difference, alpha)
    return None if needed is None else max(1, needed - number)


def seeds_needed(sd: float, difference: float, alpha: float, power: float = POWER) -> int | None:
    """The fewest pairs with which a two-sided test at `alpha` finds a mean difference; None above 1,000.

    Reckoned for the paired t test, to which a sign-flip test comes close, and never less than the sign-flip test needs
    to reach `alpha` at all: 6 at 0.05.

    Args:
        sd: Of the paired differences; 0 for none.
        difference: To be found, above 0, in the unit of `sd`.
        alpha: Level, between 0 and 1.
        power: Chance to find it, between 0 and 1.

    Raises:
        ValueError: `difference` is not above 0.

    Source: Cohen 1988, "Statistical Power Analysis", chapter 2, by the noncentral t distribution.
    """
    if not difference > 0:
        raise ValueError(f"difference must be above 0, not {difference}")
    least = max(2, math.ceil(1 - math.log2(alpha)))
    if sd <= 0 or t_test_power(least, difference / sd, alpha) >= power:
        return least
    low, high = least, MAX_SEEDS  # enough seeds lie above the first and, if anywhere, not above the second
    if t_test_power(high, difference / sd, alpha) < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if t_test_power(middle, difference / sd, alpha) >= power:
            high = middle
        else:
            low = middle
    return high


def t_test_power(number: int, effect: float, alpha: float) -> float:
    """The chance that a two-sided paired t test at `alpha` rejects.

    Args:
        number: Of pairs, at least 2.
        effect: Mean difference in standard deviations of the differences; above 0.
        alpha: Level, between 0 and 1.
    """
    from scipy import stats

    shift = math.sqrt(number) * effect
    if shift > 30:  # the noncentral t distribution loses its digits there
        return 1.0 if stats.t.isf(alpha / 2, number - 1) < shift else 0.0
    critical = stats.t.isf(alpha / 2, number - 1)
    below = stats.nct.cdf(-critical, number - 1, shift)
    return float(stats.nct.sf(critical, number - 1, shift) + np.nan_to_num(below))
