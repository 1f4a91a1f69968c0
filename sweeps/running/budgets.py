"""How much a sweep may take, and when it has had it: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracking.ranking import Goal

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec
    from sweeps.trials.ledger import Ledger


_MIN_TRIALS = 10  # before a share of failures is one


def find_search_end(spec: SweepSpec, ledger: Ledger, arm: str, *, time_is_up: bool) -> str:
    """Why no search trial of an arm starts or goes on any more; "" while they may.

    The best so far are retrained all the same. Trials that have begun are stopped at their next epoch, but under
    `plateau`, which they may yet end.

    Args:
        spec: With the budget.
        ledger: All trials so far.
        arm: Its name.
        time_is_up: Whether `budget.hours` has passed.
    """
    budget = spec.budget
    if time_is_up:
        return "budget: hours"
    if budget.epochs_per_arm is not None and ledger.tallies[arm].num_epochs >= budget.epochs_per_arm:
        return "budget: epochs_per_arm"
    best = ledger.best()
    if spec.target is not None and best is not None and Goal(spec.metric.goal).reaches(best.best_score, spec.target):
        return f"budget: target reached by {best.trial_id}"
    return ""


def is_plateau(spec: SweepSpec, ledger: Ledger) -> bool:
    """Whether the last trials of every arm, as many as `budget.plateau` says, brought no better score."""
    limit = spec.budget.plateau
    return limit is not None and all(tally.num_without_better >= limit for tally in ledger.tallies.values())


def find_halt(spec: SweepSpec, ledger: Ledger) -> str:
    """Why the sweep ends at once, without retraining; "" while it goes on."""
    if ledger.consecutive_failures >= spec.budget.max_consecutive_failures:
        return f"budget: {ledger.consecutive_failures} trials failed in a row"
    for arm, tally in ledger.tallies.items():
        if tally.consecutive_failures >= spec.budget.max_consecutive_failures:
            return f"budget: {tally.consecutive_failures} trials of {arm} failed in a row"
    ended, failed = ledger.num_ended, ledger.num_failed
    limit = spec.budget.max_failures_fraction
    if limit is not None and ended >= _MIN_TRIALS and failed > limit * ended:
        return f"budget: {failed} of {ended} trials failed, more than max_failures_fraction {limit:g}"
    return ""


def find_shortfall(spec: SweepSpec, epoch: int, best_score: float) -> str:
    """Why a search trial is stopped for not having reached the floor in time; "" where it has, or may yet."""
    floor, metric = spec.floor, spec.metric
    if floor is None or epoch < floor.after:
        return ""
    level = floor.min if floor.min is not None else floor.max
    assert level is not None
    goal = Goal(metric.goal)
    if goal.reaches(best_score, level):
        return ""
    side = "below" if goal is Goal.MAXIMIZE else "above"
    return f"floor: best {metric.name} {best_score:.4g} after epoch {epoch}, {side} {level:g}"
