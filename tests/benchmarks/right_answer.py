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
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from recorded_curves import FOUR_OPTIMIZERS, BuildRule, find_best, find_finished, load_curves, record, study

from sweeps.stopping.asha import Rungs, rung_epochs
from sweeps.stopping.hyperband import Brackets
from sweeps.stopping.median import MedianRule
from sweeps.stopping.promotion import PromotionRungs
from sweeps.stopping.rule import Decision, NoRule, Rule

NUM_ORDERS = 300


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
    build: BuildRule
    shared: bool = False


def list_candidates() -> list[Candidate]:
    """Every rule at several first rungs and ratios."""

    def at(rule: Callable[[tuple[int, ...], int], Rule], grace: int, eta: int) -> BuildRule:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="SWEEP_ID", help="write the curves of this sweep first")
    arguments = parser.parse_args()
    if arguments.record:
        record(FOUR_OPTIMIZERS, arguments.record)
    curves, retrained = load_curves(FOUR_OPTIMIZERS)
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
        cells = []
        for part in parts.values():
            total = sum(len(curve) for trials in part.values() for curve in trials)
            found = study(part, candidate.build, shared=candidate.shared, num_orders=NUM_ORDERS)
            cells.append(
                f"{found.correct:.0%}, {found.epochs / total:.1%} of the epochs, {100 * found.shortfall:.2f} behind"
            )
        print(f"| {candidate.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
