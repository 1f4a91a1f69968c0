"""Whether a search was too small or too narrow, and by which overrides it goes on as a larger one. Pure.

What it was limited to stands in the manifest, as `sweeps.spec.search_limits` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tracking.analysis.labels import format_number, is_fraction
from tracking.analysis.leaderboard import find_best
from tracking.analysis.untuned import find_useless_tuning
from tracking.names import TrialState
from tracking.ranking import CLOSE_LOSS, Goal
from tracking.statistics.edges import EdgeAlarm, SearchedRange, Side, find_edge
from tracking.table import SweepTable, TrialRow

GROWTH = 1.5  # of a budget: a range becomes half as wide again at most, and keeps as many trials on each part of it
MIN_TRIALS = 3  # of an arm, before anything is said of how its best grows


@dataclass(frozen=True)
class RangeLimits:
    """A number that was searched between two ends, as the sweep file has it.

    Attributes:
        key: Of the parameter, as `--set` takes it.
        where: The choices that it belongs to, each with the parameter whose choice it is.
        min, max: Its ends as written; powers to which e is raised where they are `exponents`.
        values: The numbers that are listed; None for a range.
        log: Whether it is searched on its logarithm.
        step: Of what it is a multiple; None for any number.
        least, most: What it can be at all; None for no limit.
        least_open, most_open: Whether it can only come close to that.
    """

    key: str
    name: str
    where: Mapping[str, str]
    min: float
    max: float
    values: list[float] | None
    exponents: bool
    log: bool
    step: float | None
    least: float | None
    most: float | None
    least_open: bool
    most_open: bool


@dataclass(frozen=True)
class SearchLimits:
    """What a search was limited to.

    Attributes:
        can_grow: Whether `sweeps run --extend` takes it at all: a population is as large as it began.
        exhaustive: Whether every configuration is tried once, so that more trials need more values.
        budget: Key as `--set` takes it -> number.
        target: The score that ends it; None for none.
    """

    can_grow: bool
    exhaustive: bool
    budget: Mapping[str, float]
    target: float | None
    ranges: tuple[RangeLimits, ...]


@dataclass(frozen=True)
class Growth:
    """How a search goes on as a larger one.

    Attributes:
        reasons: Why it should, each a sentence.
        overrides: What `sweeps run --extend` is given, each `key=value`; nothing where it takes the sweep not at all.
    """

    reasons: tuple[str, ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class _Alarm:
    """An arm whose best setting lies at the edge of what was searched."""

    arm: str
    edge: EdgeAlarm
    limits: RangeLimits

    @property
    def end(self) -> float:
        """What is to be searched up to, or down to."""
        return self.edge.low if self.edge.side is Side.LOW else self.edge.high


def plan_growth(table: SweepTable, faults: Iterable[str] = (), factor: float = GROWTH) -> Growth | None:
    """The larger search that a finished one asks for; None where it asks for none, or does not say its limits.

    It asks for one when an arm's best setting lies at the edge of its range, or at the end of a list and ahead of the
    value beside it, when the last third of an arm's trials brought more than what does not matter, when an arm had
    fewer trials than another, and when an arm's tuned settings do not beat its untuned defaults. All that is asked for
    is one extension, since each of them is another look.

    Args:
        table: The sweep.
        faults: What else shows that an arm was not searched enough, each a sentence.
        factor: Of the budget.

    Source: protocol, rules 3 and 6.
    """
    limits = read_limits(table)
    if limits is None or _has_reached_target(table, limits.target):
        return None
    alarms = list(_find_alarms(table, limits.ranges))
    reasons = list(_tell_alarms(alarms))
    if limits.can_grow and not limits.exhaustive:
        reasons += [*_find_unequal(table), *_find_rising(table), *_find_useless(table), *faults]
    overrides = (*_widen(alarms), *_raise_budget(limits.budget, len(table.arms), factor)) if limits.can_grow else ()
    return Growth(tuple(reasons), overrides) if reasons else None


def read_limits(table: SweepTable) -> SearchLimits | None:
    """What the search was limited to; None where the manifest does not say it."""
    found = table.manifest.get("search")
    if not isinstance(found, Mapping) or not found:
        return None
    try:
        return SearchLimits(**{**found, "ranges": tuple(RangeLimits(**each) for each in found["ranges"])})
    except (TypeError, KeyError):  # somebody has edited it
        return None


def _has_reached_target(table: SweepTable, target: float | None) -> bool:
    """Whether the search ended because it found what it was to find."""
    values = (value for trial in table.select() if (value := table.value(trial)) is not None)
    return target is not None and any(Goal(table.goal).reaches(value, target) for value in values)


def _find_alarms(table: SweepTable, ranges: tuple[RangeLimits, ...]) -> Iterator[_Alarm]:
    for arm in table.arms:
        best = find_best(table, arm)
        for limits in ranges if best and best.course is None else ():
            assert best is not None
            value = best.parameters.get(limits.name)
            belongs = all(str(best.parameters.get(name)) == choice for name, choice in limits.where.items())
            if not belongs or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            edge = _find_in_range(value, limits) if limits.values is None else _find_in_list(value, limits)
            if edge is not None and (limits.values is None or _is_ahead(table, best, edge, limits.values)):
                yield _Alarm(arm, edge, limits)


def _find_in_range(value: float, limits: RangeLimits) -> EdgeAlarm | None:
    low, high = (math.exp(end) if limits.exponents else end for end in (limits.min, limits.max))
    searched = SearchedRange(
        low=low,
        high=high,
        is_log=limits.log,
        least=-math.inf if limits.least is None else limits.least,
        most=math.inf if limits.most is None else limits.most,
        least_open=limits.least_open,
        most_open=limits.most_open,
        step=limits.step,
    )
    return find_edge(limits.name, min(max(value, low), high), searched)


def _find_in_list(value: float, limits: RangeLimits) -> EdgeAlarm | None:
    """The alarm for the least or greatest of listed numbers: the next one as far away as the last two are.

    By their ratio where all are above 0, as learning rates and batch sizes are listed; else by their distance.
    """
    values = sorted(set(limits.values or ()))
    if value not in (values[0], values[-1]):
        return None
    side = Side.LOW if value == values[0] else Side.HIGH
    end, beside = (values[0], values[1]) if side is Side.LOW else (values[-1], values[-2])
    new = end * end / beside if limits.log else 2 * end - beside
    new = round(new) if limits.step else float(f"{new:.3g}")
    if new in values or not _is_allowed(new, limits):
        return None
    low, high = (new, values[-1]) if side is Side.LOW else (values[0], new)
    return EdgeAlarm(limits.name, value, side, float(side is Side.HIGH), low, high)


def _is_ahead(table: SweepTable, best: TrialRow, edge: EdgeAlarm, values: Sequence[float]) -> bool:
    """Whether an arm's best trial, at the end of a list, is ahead of all at the value beside it, by what matters.

    The best of three values lies at an end two times in three by luck alone. An untried value beside it says nothing.
    """
    beside = sorted(set(values))[1 if edge.side is Side.LOW else -2]
    others = [trial for trial in table.select(best.arm) if trial.parameters.get(edge.parameter) == beside]
    scores = [value for trial in others if (value := table.value(trial)) is not None]
    reached = table.value(best)
    if not scores or reached is None:
        return True
    goal = Goal(table.goal)
    return goal.sign * (reached - goal.best(scores)) > _what_matters(table, reached)


def _what_matters(table: SweepTable, value: float) -> float:
    """The least difference from a value of the goal metric that is worth a word."""
    return table.confirmation.margin if is_fraction(table.goal_metric) else CLOSE_LOSS * abs(value)


def _is_allowed(value: float, limits: RangeLimits) -> bool:
    above = limits.least is None or value > limits.least or (value == limits.least and not limits.least_open)
    below = limits.most is None or value < limits.most or (value == limits.most and not limits.most_open)
    return above and below


def _tell_alarms(alarms: list[_Alarm]) -> Iterator[str]:
    if alarms:
        lie = "A best setting lies" if len(alarms) == 1 else "Best settings lie"
        told = ", ".join(map(_show_alarm, alarms))
        yield f"{lie} at the edge of what was searched, and a better one may lie beyond: {told}."


def _show_alarm(alarm: _Alarm) -> str:
    """`lr 0.9 of sgd (0.001 to 1)`."""
    edge, limits = alarm.edge, alarm.limits
    low, high = (math.exp(end) if limits.exponents else end for end in (limits.min, limits.max))
    searched = ", ".join(map(format_number, limits.values or ())) or f"{format_number(low)} to {format_number(high)}"
    return f"{edge.parameter} {format_number(edge.value)} of {alarm.arm} ({searched})"


def _widen(alarms: list[_Alarm]) -> Iterator[str]:
    """Yields an override for each end; of a range that several arms share the end that is furthest out."""
    ends: dict[str, float] = {}
    lists: dict[str, list[float]] = {}
    for alarm in alarms:
        limits, is_low = alarm.limits, alarm.edge.side is Side.LOW
        if limits.values is not None:
            values = lists.setdefault(limits.key, list(limits.values))
            if alarm.end not in values:
                values.insert(0 if is_low else len(values), alarm.end)
            continue
        key, end = f"{limits.key}.{'min' if is_low else 'max'}", math.log(alarm.end) if limits.exponents else alarm.end
        ends[key] = (min if is_low else max)(end, ends.get(key, end))
    yield from (f"{key}={_write(end)}" for key, end in ends.items())
    yield from (f"{key}.values=[{', '.join(map(str, values))}]" for key, values in lists.items())


def _write(end: float) -> str:
    return str(round(end)) if end == round(end) else f"{end:.6g}"


def _raise_budget(budget: Mapping[str, float], num_arms: int, factor: float) -> Iterator[str]:
    """Yields an override for each limit of the budget: those that are not raised would end the search as before."""
    for key, limit in budget.items():
        if key in ("budget.trials", "run_cap"):  # of all arms together
            yield f"{key}={num_arms * math.ceil(factor * (limit // num_arms))}"
        elif key == "budget.hours":
            yield f"{key}={factor * limit:.3g}"
        else:
            yield f"{key}={math.ceil(factor * limit)}"


def _find_unequal(table: SweepTable) -> Iterator[str]:
    counts = {arm: len(table.select(arm)) for arm in table.arms}
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[least] < counts[most]:
        yield f"{least} had {counts[least]} trials, {most} {counts[most]}: the arms were not searched alike."


def _find_rising(table: SweepTable) -> Iterator[str]:
    """Yields the arms whose expected best still grows: over the last third of a search, in whatever order it went."""
    rising = [(arm, gain) for arm in table.arms if (gain := _measure_gain(table, arm)) > 0]
    if rising:
        unit = "points" if is_fraction(table.goal_metric) else table.goal_metric
        factor = 100 if is_fraction(table.goal_metric) else 1
        gains = ", ".join(f"{arm} {factor * gain:.2g}" for arm, gain in rising)
        yield f"The best still grew over the last third of the trials, on average over their orders ({unit}: {gains})."


def _measure_gain(table: SweepTable, arm: str) -> float:
    """How much better the best of an arm's trials is than that of two thirds of them; 0 where it does not matter."""
    import numpy as np

    from tracking.statistics.budget_curves import best_of_k

    goal = Goal(table.goal)
    ended = [trial for trial in table.select(arm) if trial.state not in (None, TrialState.STOPPED, TrialState.FAILED)]
    scores = [
        goal.sign * value
        for trial in ended
        if trial.state is not TrialState.DIVERGED and (value := table.value(trial)) is not None
    ]
    if len(ended) < MIN_TRIALS or not scores:
        return 0.0
    values = np.array(scores + [min(scores)] * (len(ended) - len(scores)))  # one that diverged is as good as the worst
    gain = max(scores) - best_of_k(values, round(len(values) / GROWTH))
    return gain if gain > _what_matters(table, max(scores)) else 0.0


def _find_useless(table: SweepTable) -> Iterator[str]:
    if arms := list(find_useless_tuning(table)):
        yield f"The tuned settings of {' and '.join(arms)} do not beat the untuned defaults."
