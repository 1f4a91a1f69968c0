"""The best settings of an arm that lie at the edge of what was searched, and what to search next. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracking.analysis.labels import format_number
from tracking.analysis.leaderboard import find_best
from tracking.table import SweepTable

if TYPE_CHECKING:
    from tracking.statistics.edges import EdgeAlarm, SearchedRange


@dataclass(frozen=True)
class ArmEdge:
    """A best setting at an edge.

    Attributes:
        arm: Whose.
        alarm: What it is, where it lies, and the range to try next.
        searched: The range as it was, in words.
        override: What `--set` takes to widen it; "" where it cannot name the parameter.
    """

    arm: str
    alarm: EdgeAlarm
    searched: str
    override: str

    @property
    def sentence(self) -> str:
        """The warning."""
        alarm = self.alarm
        return (
            f"{self.arm}: its best {alarm.parameter}, {format_number(alarm.value)}, lies at the {alarm.side} edge of "
            f"what was searched ({self.searched}). A better one may lie outside: search "
            f"{format_number(alarm.low)} to {format_number(alarm.high)}."
        )


def find_edges(table: SweepTable) -> tuple[ArmEdge, ...]:
    """The edges at which the best settings of each arm lie; none for a sweep that does not say what it searched."""
    search = table.manifest.get("search")
    arms = search.get("arms", {}) if isinstance(search, Mapping) else {}
    return tuple(edge for arm in table.arms for edge in _find_in_arm(table, arm, arms.get(arm, {})))


def _find_in_arm(table: SweepTable, arm: str, parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[ArmEdge]:
    from tracking.statistics.edges import find_edge

    best = find_best(table, arm)
    for name, facts in parameters.items():
        value = best.parameters.get(name) if best else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        alarm = _find_in_list(name, value, facts) if "values" in facts else find_edge(name, value, _to_range(facts))
        if alarm is not None:
            yield ArmEdge(arm, alarm, _show(facts), _write_override(alarm, facts))


def _limits(facts: Mapping[str, Any]) -> tuple[float, float]:
    least, most = facts.get("least"), facts.get("most")
    return -math.inf if least is None else least, math.inf if most is None else most


def _to_range(facts: Mapping[str, Any]) -> SearchedRange:
    from tracking.statistics.edges import SearchedRange

    least, most = _limits(facts)
    return SearchedRange(
        facts["low"],
        facts["high"],
        facts["is_log"],
        least,
        most,
        facts["least_open"],
        facts["most_open"],
        facts["is_integer"],
    )


def _find_in_list(name: str, value: float, facts: Mapping[str, Any]) -> EdgeAlarm | None:
    """The alarm for the least or greatest of listed numbers: the next one as far away as the last two are.

    By their ratio where all are above 0, as learning rates and batch sizes are listed; else by their distance.
    """
    from tracking.statistics.edges import EdgeAlarm, Side

    values = sorted(set(facts["values"]))
    if value not in (values[0], values[-1]):
        return None
    side = Side.LOW if value == values[0] else Side.HIGH
    end, beside = (values[0], values[1]) if side is Side.LOW else (values[-1], values[-2])
    step = end * end / beside if values[0] > 0 else 2 * end - beside
    new = round(step) if facts["is_integer"] else float(f"{step:.3g}")
    least, most = _limits(facts)
    is_low_enough = new < most if facts["most_open"] else new <= most
    is_high_enough = new > least if facts["least_open"] else new >= least
    if new in values or not (is_low_enough and is_high_enough):
        return None
    low, high = (new, values[-1]) if side is Side.LOW else (values[0], new)
    return EdgeAlarm(name, value, side, float(side is Side.HIGH), low, high)


def _show(facts: Mapping[str, Any]) -> str:
    if "values" in facts:
        return ", ".join(format_number(value) for value in facts["values"])
    return f"{format_number(facts['low'])} to {format_number(facts['high'])}"


def _write_override(alarm: EdgeAlarm, facts: Mapping[str, Any]) -> str:
    from tracking.statistics.edges import Side

    if not facts["path"]:
        return ""
    new = alarm.low if alarm.side is Side.LOW else alarm.high
    number = int(new) if facts["is_integer"] else new
    if "values" in facts:
        values = [number, *facts["values"]] if alarm.side is Side.LOW else [*facts["values"], number]
        return f"{facts['path']}.values=[{', '.join(map(str, values))}]"
    end = math.log(number) if facts["is_exponent"] else number
    return f"{facts['path']}.{'min' if alarm.side is Side.LOW else 'max'}={end!r}"
