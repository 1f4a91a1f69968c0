"""How exactly a setting has to be tuned. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracking.ranking import Goal

if TYPE_CHECKING:
    from tracking.statistics.intervals import Vector

POINT = 0.01  # of accuracy


@dataclass(frozen=True)
class GoodBand:
    """Where a setting may lie without much loss.

    Attributes:
        low, high: The ends: the outermost trials of the unbroken row of good ones about the best.
        best: The setting of the best trial.
        decades: The width on the logarithm, a factor of ten being 1; None for a setting that is not above 0.
        num_trials: In the band.
        is_open: Whether the band reaches the outermost trial on a side (low, high), so that it may go on beyond.
    """

    low: float
    high: float
    best: float
    decades: float | None
    num_trials: int
    is_open: tuple[bool, bool]


def find_good_band(
    settings: Vector, values: Vector, tolerance: float = POINT, goal: Goal = Goal.MAXIMIZE
) -> GoodBand | None:
    """The settings about the best one whose trials came within `tolerance` of it; None where no trial has a value.

    It ends before the first trial on either side that is worse than that, for whatever reason. Where other settings
    vary too, such a trial may be worse because of them: the band is then too narrow rather than too wide.

    Args:
        settings: Such as learning rates, shape (n,).
        values: What each trial came to, shape (n,); NaN for one that diverged, which ends the band.
        tolerance: In the unit of the metric.
        goal: The direction of the metric.

    Source: protocol, plots of a report; Asi and Duchi 2019, "The Importance of Better Models in Stochastic
    Optimization", which compares methods by how wide a range of step sizes serves.
    """
    if not np.isfinite(values).any():
        return None
    order = np.argsort(settings, kind="stable")
    sorted_settings, signed = settings[order], goal.sign * values[order]
    signed = np.where(np.isfinite(signed), signed, -np.inf)
    best = int(signed.argmax())
    good = signed >= signed[best] - tolerance * (1 + 1e-12)
    first = best - _count_leading(good[:best][::-1])
    last = best + _count_leading(good[best + 1 :])
    low, high = float(sorted_settings[first]), float(sorted_settings[last])
    return GoodBand(
        low=low,
        high=high,
        best=float(sorted_settings[best]),
        decades=math.log10(high / low) if low > 0 else None,
        num_trials=last - first + 1,
        is_open=(first == 0, last == len(settings) - 1),
    )


def _count_leading(flags: np.ndarray) -> int:
    """How many flags are set before the first that is not."""
    return len(flags) if flags.all() else int(flags.argmin())
