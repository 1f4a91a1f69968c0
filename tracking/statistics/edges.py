"""Whether the best setting lies at the edge of its range, so that a better one may lie outside. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

EDGE_SHARE = 0.1  # protocol, rule 6
WIDENING = 0.5  # of the width of the range, on its logarithm where that is how it is searched
MOST_DECADES = 1.0  # of a range that is searched on its logarithm: a step beyond that leaves out what lies between


class Side(StrEnum):
    """An end of a range."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class SearchedRange:
    """A number that was searched.

    Attributes:
        low, high: The ends of the range.
        is_log: Whether it was searched on its logarithm.
        least, most: What the parameter can be at all, which is not crossed; it may be infinite.
        least_open, most_open: Whether it can only come close to that.
        step: Of what it is a multiple: 1 for whole numbers; None for any number.

    Raises:
        ValueError: The ends are not finite, not in order, or not above 0 on a logarithm.
    """

    low: float
    high: float
    is_log: bool = False
    least: float = -math.inf
    most: float = math.inf
    least_open: bool = False
    most_open: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range needs two ends in order, not {self.low} and {self.high}")
        if self.is_log and self.low <= 0:
            raise ValueError(f"a range that is searched on its logarithm lies above 0, not at {self.low}")


@dataclass(frozen=True)
class EdgeAlarm:
    """A best setting in the outer part of its range.

    Attributes:
        position: Where in the range it lies, from 0 (low) to 1, on the logarithm where that is how it was searched.
        low, high: The range to try next: the old one, widened on that side.
    """

    parameter: str
    value: float
    side: Side
    position: float
    low: float
    high: float


def find_edge(parameter: str, value: float, searched: SearchedRange, share: float = EDGE_SHARE) -> EdgeAlarm | None:
    """The alarm for a best setting in the outer `share` of its range; None where it lies inside.

    None too where the parameter cannot go further on that side. A range is widened by half its width, at least by one
    step, and on a logarithm ten times at most.

    Args:
        parameter: Its name.
        value: Of the best trial, within the range.
        searched: The range.
        share: Below 0.5.

    Source: protocol, rule 6; Choi et al. 2019, "On Empirical Comparisons of Optimizers for Deep Learning", section 4.
    """
    low, high = _to_scale(searched.low, searched), _to_scale(searched.high, searched)
    position = (_to_scale(value, searched) - low) / (high - low)
    if share < position < 1 - share:
        return None
    width = WIDENING * (high - low)
    if searched.is_log:
        width = min(width, MOST_DECADES)
    if position <= share:
        end = _limit(_from_scale(low - width, searched, Side.LOW), searched.low, searched.least, searched.least_open)
        found = EdgeAlarm(parameter, value, Side.LOW, position, end, searched.high)
    else:
        end = _limit(_from_scale(high + width, searched, Side.HIGH), searched.high, searched.most, searched.most_open)
        found = EdgeAlarm(parameter, value, Side.HIGH, position, searched.low, end)
    return found if _holds_more(found, searched) else None


def _holds_more(found: EdgeAlarm, searched: SearchedRange) -> bool:
    """Whether the wider range has values that the old one has not."""
    if searched.step is None:
        return (found.low, found.high) != (searched.low, searched.high)
    return found.low <= searched.low - searched.step or found.high >= searched.high + searched.step


def _limit(new: float, old: float, limit: float, is_open: bool) -> float:
    """A new end within the limit; half way to one that cannot be reached."""
    if abs(new - old) < abs(limit - old):
        return new
    return (old + limit) / 2 if is_open else limit


def _to_scale(value: float, searched: SearchedRange) -> float:
    return math.log10(value) if searched.is_log else value


def _from_scale(value: float, searched: SearchedRange, side: Side) -> float:
    """A new end in the parameter's own unit, with two significant digits where the range is large enough for it."""
    plain = 10**value if searched.is_log else value
    if searched.step is not None:
        count = plain / searched.step
        return float(f"{searched.step * (math.floor(count) if side is Side.LOW else math.ceil(count)):.6g}")
    return float(f"{plain:.2g}") if searched.is_log else float(f"{plain:.6g}")
