"""Curves of trials that were trained in full once, and searches that the project's own rules play over them."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.plan.simulation import KnownTrial, simulate
from sweeps.stopping.rule import Rule

TWO_OPTIMIZERS, FOUR_OPTIMIZERS = (
    Path(__file__).parent / "curves" / f"{name}.json" for name in ("two_optimizers", "four_optimizers")
)
SLOTS = 2

Curves = Mapping[str, Sequence[Sequence[float]]]  # arm -> trial -> validation accuracy after each epoch, NaN once lost
BuildRule = Callable[[int], Rule]  # from the epochs of a trial


@dataclass(frozen=True)
class Outcome:
    """What a search came to, or the mean of several.

    Attributes:
        correct: Whether it named the arm that has the best trial of all: that of the best trial which it trained in
            full; or the share of searches that did.
        epochs: Of all trials.
        shortfall: The best score of all less that of the trial which was named, as a fraction of all images.
    """

    correct: float
    epochs: float
    shortfall: float


def record(file: Path, sweep_id: str) -> None:
    """Writes the curves of a sweep: numbers only."""
    from sweeps.home import choose_sweep, open_home
    from tracking.store.queries import list_sweeps, load_sweep

    home = open_home()
    known = [summary.sweep_id for summary in list_sweeps(home.tracking_uri, 100)]
    table = load_sweep(choose_sweep(known, sweep_id, str(home.path)), home.tracking_uri)
    lines = []
    for arm in table.arms:
        retrained = [round(trial.summary["best_val_accuracy"], 4) for trial in table.confirmed(arm)]
        trials = [
            json.dumps(
                {
                    "lr": float(f"{trial.parameters['lr']:.6g}"),
                    "val_accuracy": [round(value, 4) for _, value in trial.history.get("val_accuracy", ())],
                }
            )
            for trial in table.select(arm)
            if trial.state is not None
        ]
        lines.append(_format_arm(arm, retrained, trials))
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _format_arm(arm: str, retrained: Sequence[float], trials: Sequence[str]) -> str:
    joined = ",\n   ".join(trials)
    return f' "{arm}": {{\n  "retrained": {json.dumps(retrained)},\n  "trials": [\n   {joined}\n  ]\n }}'


def load_curves(file: Path) -> tuple[Curves, Mapping[str, Sequence[float]]]:
    """The curves, and the validation accuracies of each arm's best with other seeds."""
    recorded = json.loads(file.read_text())
    longest = max(len(trial["val_accuracy"]) for arm in recorded.values() for trial in arm["trials"])
    curves = {
        name: [
            [*trial["val_accuracy"], *[math.nan] * (longest - len(trial["val_accuracy"]))] for trial in arm["trials"]
        ]
        for name, arm in recorded.items()
    }
    return curves, {name: arm["retrained"] for name, arm in recorded.items()}


def find_finished(trials: Sequence[Sequence[float]]) -> float:
    """The best score of the trials that did not break off: their best epoch's."""
    return max(max(curve) for curve in trials if math.isfinite(curve[-1]))


def find_best(curves: Curves) -> tuple[str, float]:
    """The arm that has the best trial of all, and its score."""
    scores = {arm: find_finished(trials) for arm, trials in curves.items()}
    best = max(scores, key=lambda arm: scores[arm])
    return best, scores[best]


def study(curves: Curves, build_rule: BuildRule, *, shared: bool, num_orders: int) -> Outcome:
    """The mean of searches over random orders of arrival, the same ones for every rule.

    Args:
        curves: Of all trials.
        build_rule: Makes a rule, from the epochs of a trial.
        shared: Whether all arms compete in one bracket.
        num_orders: So many searches.
    """
    everything = [(arm, number) for arm, trials in curves.items() for number in range(len(trials))]
    luck = random.Random(0)
    orders = (luck.sample(everything, len(everything)) for _ in range(num_orders))
    outcomes = [_search(curves, order, build_rule, shared) for order in orders]
    return Outcome(
        statistics.fmean(each.correct for each in outcomes),
        statistics.fmean(each.epochs for each in outcomes),
        statistics.fmean(each.shortfall for each in outcomes),
    )


def _search(curves: Curves, order: Sequence[tuple[str, int]], build_rule: BuildRule, shared: bool) -> Outcome:
    """Plays one search, two trials at a time."""
    (length,) = {len(curve) for trials in curves.values() for curve in trials}
    groups = {"all": list(order)} if shared else {arm: [each for each in order if each[0] == arm] for arm in curves}
    trials = {name: [KnownTrial(curves[arm][number]) for arm, number in group] for name, group in groups.items()}
    done = simulate(trials, {name: build_rule(length) for name in groups}, SLOTS)
    full = [
        (max(curves[arm][number]), arm)
        for name, group in groups.items()
        for (arm, number), epochs in zip(group, done.arms[name].num_epochs, strict=True)
        if epochs == length and math.isfinite(curves[arm][number][-1])
    ]
    best_arm, best = find_best(curves)
    score, named = max(full, default=(0.0, ""))
    return Outcome(named == best_arm, sum(sum(each.num_epochs) for each in done.arms.values()), best - score)
