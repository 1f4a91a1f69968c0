"""Sign-flip permutation tests of paired differences, one pair or many at once. Pure.

If two arms are equally good, each seed's difference could as well have had the other sign. Nothing else is assumed of
the noise: not its shape, and not that it is the same in all arms.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from tracking.statistics.intervals import Vector

    Matrix = npt.NDArray[np.float64]

MAX_EXACT_SEEDS = 16  # 2^16 patterns; with more seeds that many are drawn
_BLOCK = 4096  # patterns at a time
_TOLERANCE = 1e-9  # statistics that are equal but for rounding count as equal

Alternative = Literal["two-sided", "greater", "less"]


def sign_flip_test(differences: Vector, alternative: Alternative = "two-sided", seed: int = 0) -> float:
    """The p-value of the null hypothesis that paired differences lie symmetrically about 0.

    All sign patterns are tried up to 16 differences: the p-value is exact, and at least 2 / 2^n (two-sided) or 1 / 2^n.
    With more, 65,536 patterns are used, the observed one among them: the test still holds its level. 1 for none, and
    where all are 0.

    Args:
        differences: Finite, shape (n,).
        alternative: What the mean difference is suspected to be.
        seed: Of the random patterns.

    Source: Fisher 1935, "The Design of Experiments", section 21; random patterns: Phipson and Smyth 2010.
    """
    if len(differences) == 0 or not differences.any():
        return 1.0
    sums = sign_patterns(len(differences), seed) @ differences
    observed = differences.sum()
    if alternative == "two-sided":
        sums, observed = np.abs(sums), abs(observed)
    elif alternative == "less":
        sums, observed = -sums, -observed
    return float(np.mean(sums >= observed - _TOLERANCE * np.abs(differences).sum()))


@lru_cache(maxsize=32)
def sign_patterns(num_seeds: int, seed: int = 0) -> Matrix:
    """Rows of signs, shape (patterns, num_seeds), not to be written to; the first row is all +1.

    They are all patterns up to 16 seeds, else 65,536 drawn ones.
    """
    if num_seeds <= MAX_EXACT_SEEDS:
        patterns = np.where((np.arange(2**num_seeds)[:, None] >> np.arange(num_seeds)) & 1, -1.0, 1.0)
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (2**MAX_EXACT_SEEDS, num_seeds))
        patterns = np.where(bits, -1.0, 1.0)
        patterns[0] = 1.0
    patterns.setflags(write=False)
    return patterns


def adjusted_p_values(differences: Matrix, seed: int = 0) -> Vector:
    """Two-sided p-values of many pairs, corrected so that the chance of any false rejection among all is held.

    One sign is drawn for each seed and flips that seed's differences of all pairs together, which keeps how pairs hang
    together. A pair's t statistic is compared with the largest of all pairs not yet rejected (step-down). Pairs may
    be chosen after looking, such as those to the best arm, as long as all pairs are given.

    Holm's correction of the pairs to the best arm does not hold the level, since the best is chosen from the same data:
    with 8 equal arms and 10 seeds it called one of them worse in 7 to 11 % of sweeps. Holm's over all pairs holds it,
    but can reject nothing with 6 seeds and 3 arms (3 * 2/64 > 0.05). This one can, and holds it.

    Args:
        differences: Shape (pairs, seeds); NaN where a pair lacks a seed, whose other differences count.
        seed: Of the random patterns.

    Returns:
        Shape (pairs,). A pair without differences, or with zeros only, has 1.

    Source: Westfall and Young 1993, "Resampling-Based Multiple Testing", algorithm 2.8 (step-down maxT), with sign
    flips as in Romano and Wolf 2005; it controls the family-wise error strongly if the vector of a seed's
    noise is symmetric.
    """
    num_pairs, num_seeds = differences.shape
    if num_pairs == 0:
        return np.ones(0)
    patterns = sign_patterns(num_seeds, seed)
    observed = _t_statistics(patterns[:1], differences)[0]
    order = np.argsort(-observed, kind="stable")
    reached = observed[order] * (1 - _TOLERANCE)
    counts = np.zeros(num_pairs)
    for start in range(0, len(patterns), _BLOCK):
        flipped = _t_statistics(patterns[start : start + _BLOCK], differences[order])
        largest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]  # of this pair and the later ones
        counts += (largest >= reached).sum(axis=0)
    adjusted: Vector = np.empty(num_pairs)
    adjusted[order] = np.maximum.accumulate(counts / len(patterns))
    return adjusted


def _t_statistics(patterns: Matrix, differences: Matrix) -> Matrix:
    """|t| of each pair (columns) under each pattern (rows): flips change the sum, not the sum of squares."""
    present = np.isfinite(differences)
    known = np.where(present, differences, 0.0)
    numbers, squares = present.sum(axis=1), (known**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (patterns @ known.T) ** 2 / (numbers * squares)  # of the squares that the mean explains
        share[share > 1 - _TOLERANCE] = 1.0
        statistics: Matrix = np.sqrt(share * (numbers - 1) / (1 - share))
    statistics[np.isnan(statistics)] = 0.0  # zeros only, or a single seed
    return statistics


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's correction of p-values, in their order.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)
