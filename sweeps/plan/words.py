"""A sweep in one line before it starts: what it is about to do, and what that will come to. Pure."""

from __future__ import annotations

from sweeps.plan.plan import Plan, Range
from sweeps.space.distributions import Constant
from sweeps.spec import SweepSpec
from sweeps.spec.arms import build_arms, constant_of, num_confirm_trials, num_search_trials
from tracking.analysis.labels import format_duration

_MAX_NAMED = 6  # arms; of more, only how many there are


def introduce(spec: SweepSpec) -> str:
    """What a sweep is about to do, from its file alone."""
    arms = build_arms(spec)
    names = [arm.name for arm in arms]
    what = ", ".join(names) if len(names) <= _MAX_NAMED else f"{len(names)} arms"
    compared = f"compares {', '.join(spec.compare)} ({what})" if spec.compare else "searches"
    limits = set(num_search_trials(spec, arms).values())
    number = limits.pop() if len(limits) == 1 else None
    each = " each" if spec.compare else ""
    trials = "trials until the budget is used up" if number is None else f"{number} {_plural(number, 'trial')}{each}"
    num_confirm = num_confirm_trials(spec) * len(arms)
    retraining = f", then {num_confirm} {_plural(num_confirm, 'retraining')}" if num_confirm else ""
    epochs = spec.parameters.get("epochs", Constant(value=constant_of(spec, "epochs")))
    longest = f" of up to {epochs.value} epochs" if isinstance(epochs, Constant) else ""
    return f"{spec.name}: {compared} on {constant_of(spec, 'dataset')}: {trials} by {spec.method}{longest}{retraining}"


def summarize(plan: Plan) -> str:
    """The trials, the epochs and the time of a sweep."""
    limits = [arm.num_trials for arm in plan.arms]
    num_trials = None if None in limits else sum(limit for limit in limits if limit is not None)
    num_confirm = sum(arm.num_confirm for arm in plan.arms)
    trials = "trials until the budget is used up" if num_trials is None else f"{num_trials} trials"
    retrained = f" + {num_confirm} {_plural(num_confirm, 'retraining')}" if num_confirm else ""
    wall = plan.wall_seconds
    time = "the time is known after the first epochs" if wall is None else f"about {_describe_seconds(wall)}"
    return f"plan: {trials}{retrained}, {_describe_epochs(plan.epochs)}, {plan.slots} at a time; {time}"


def _describe_epochs(epochs: Range) -> str:
    low, mid, high = (f"{value:,.0f}" for value in (epochs.low, epochs.mid, epochs.high))
    return f"{mid} epochs" if low == high else f"{mid} epochs ({low} to {high})"


def _describe_seconds(wall: Range) -> str:
    low, mid, high = (format_duration(value) for value in (wall.low, wall.mid, wall.high))
    return mid if low == high else f"{mid} ({low} to {high})"


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
