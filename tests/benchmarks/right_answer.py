"""What does the right answer cost? How often each rule names the best arm, and after how many epochs, on real curves.

    .venv/bin/python tests/benchmarks/right_answer.py                    # replays curves/four_optimizers.json
    .venv/bin/python tests/benchmarks/right_answer.py --record SWEEP_ID  # writes it, from curves/four_optimizers.yaml

Every trial of four optimizers was trained in full once. The trials arrive in random orders and are played through each
rule by the project's own rules and clock, two at a time. The best arm is the one with the best trial of all; a search
names the arm of the best trial that it trained in full. "Behind" is what the named trial lacks of the best.

The trials with even numbers are shown apart from those with odd ones: what is chosen by one half has to hold in the
other.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.plan.simulation import KnownTrial, simulate
from sweeps.stopping.asha import Rungs, rung_epochs
from sweeps.stopping.hyperband import Brackets
from sweeps.stopping.median import MedianRule
from sweeps.stopping.promotion import PromotionRungs
from sweeps.stopping.rule import Decision, NoRule, Rule

CURVES = Path(__file__).parent / "curves" / "four_optimizers.json"
NUM_ORDERS = 300
SLOTS = 2

Curves = Mapping[str, Sequence[Sequence[float]]]  # arm -> trial -> validation accuracy after each epoch, NaN once lost


class StopsByLast(Rungs):
    """ASHA as published: the score at the rung decides."""

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
        """Leaves the best score aside."""
        return super().judge(trial, epoch, score)


class PromotesByLast(PromotionRungs):
    """The same of the rule that promotes."""

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
        """Leaves the best score aside."""
        return super().judge(trial, epoch, score)


@dataclass(frozen=True)
class Candidate:
    """A way to search.

    Attributes:
        name: Rule, rungs and whether arms share them.
        build: Makes the rule, from the epochs of a trial.
        shared: Whether all arms compete in one bracket.
    """

    name: str
    build: Callable[[int], Rule]
    shared: bool = False


@dataclass(frozen=True)
class Outcome:
    """What all orders came to.

    Attributes:
        named: Share of them in which the best arm was named.
        epochs: Mean share of the epochs of all trials.
        behind: Mean of the best score less that of the trial named, in points.
    """

    named: float
    epochs: float
    behind: float


def list_candidates() -> list[Candidate]:
    """Every rule at several first rungs and ratios."""

    def at(rule: Callable[[tuple[int, ...], int], Rule], grace: int, eta: int) -> Callable[[int], Rule]:
        return lambda length: rule(rung_epochs(grace, length, eta), eta)

    found = [Candidate("no early stopping", lambda _: NoRule())]
    for rule, by_last, name in ((Rungs, StopsByLast, "asha"), (PromotionRungs, PromotesByLast, "asha_promotion")):
        for grace, eta in ((1, 3), (3, 3), (9, 3), (1, 4), (2, 4), (1, 5), (2, 5)):
            rungs = f"{name}, min_iter {grace}, eta {eta}"
            found.append(Candidate(f"{rungs}, one bracket for all", at(by_last, grace, eta), shared=True))
            found.append(Candidate(f"{rungs}, by the score at the rung", at(by_last, grace, eta)))
            found.append(Candidate(rungs, at(rule, grace, eta)))
    found.append(Candidate("hyperband, 3 brackets", lambda length: Brackets(rung_epochs(1, length, 3), 3, 3)))
    found.append(Candidate("median, min_iter 1", lambda _: MedianRule(1, 3)))
    return found


def search(curves: Curves, order: Sequence[tuple[str, int]], candidate: Candidate) -> tuple[str, float, int]:
    """One search: the arm that it names, the best score that it found, and its epochs."""
    (length,) = {len(curve) for trials in curves.values() for curve in trials}
    arms = ["all"] if candidate.shared else list(curves)
    groups = {name: [each for each in order if name in ("all", each[0])] for name in arms}
    trials = {name: [KnownTrial(curves[arm][number]) for arm, number in group] for name, group in groups.items()}
    done = simulate(trials, {name: candidate.build(length) for name in groups}, SLOTS)
    full = [
        (max(curves[arm][number]), arm)
        for name, group in groups.items()
        for (arm, number), epochs in zip(group, done.arms[name].num_epochs, strict=True)
        if epochs == length and math.isfinite(curves[arm][number][-1])
    ]
    score, arm = max(full, default=(0.0, ""))
    return arm, score, sum(sum(each.num_epochs) for each in done.arms.values())


def study(curves: Curves, candidate: Candidate) -> Outcome:
    """All orders, the same for every candidate."""
    best_arm, best = find_best(curves)
    total = sum(len(curve) for trials in curves.values() for curve in trials)
    everything = [(arm, number) for arm, trials in curves.items() for number in range(len(trials))]
    luck = random.Random(0)
    done = [search(curves, luck.sample(everything, len(everything)), candidate) for _ in range(NUM_ORDERS)]
    return Outcome(
        statistics.fmean(arm == best_arm for arm, _, _ in done),
        statistics.fmean(epochs for _, _, epochs in done) / total,
        100 * statistics.fmean(best - score for _, score, _ in done),
    )


def find_best(curves: Curves) -> tuple[str, float]:
    """The arm that has the best trial of all, and its score."""
    scores = {arm: find_finished(trials) for arm, trials in curves.items()}
    best = max(scores, key=lambda arm: scores[arm])
    return best, scores[best]


def find_finished(trials: Sequence[Sequence[float]]) -> float:
    """The best score of the trials that did not break off."""
    return max(max(curve) for curve in trials if math.isfinite(curve[-1]))


def load_curves(file: Path = CURVES) -> tuple[Curves, Mapping[str, Sequence[float]]]:
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


def record(sweep_id: str) -> None:
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
        joined = ",\n   ".join(trials)
        lines.append(f' "{arm}": {{\n  "retrained": {json.dumps(retrained)},\n  "trials": [\n   {joined}\n  ]\n }}')
    CURVES.parent.mkdir(exist_ok=True)
    CURVES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="SWEEP_ID", help="write the curves of this sweep first")
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record)
    curves, retrained = load_curves()
    for arm, trials in curves.items():
        seeds = retrained[arm]
        again = f"; {len(seeds)} other seeds {statistics.fmean(seeds):.4f}" if seeds else ""
        diverged = sum(not math.isfinite(curve[-1]) for curve in trials)
        print(f"{arm}: {len(trials)} trials, {diverged} diverged, best {find_finished(trials):.4f}{again}")
    halves = [{arm: trials[start::2] for arm, trials in curves.items()} for start in (0, 1)]
    parts = {"all trials": curves, "even numbers": halves[0], "odd numbers": halves[1]}
    print(
        "\n| rule | " + " | ".join(f"{part}: best arm is {find_best(each)[0]}" for part, each in parts.items()) + " |"
    )
    print("|---|" + "---|" * len(parts))
    for candidate in list_candidates():
        found = [study(each, candidate) for each in parts.values()]
        cells = [f"{each.named:.0%}, {each.epochs:.1%} of the epochs, {each.behind:.2f} behind" for each in found]
        print(f"| {candidate.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
