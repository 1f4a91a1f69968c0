"""Does early stopping name the better optimizer? One bracket for both against one bracket for each, on recorded curves.

    .venv/bin/python tests/benchmarks/fairness.py                    # replays fairness_curves.json
    .venv/bin/python tests/benchmarks/fairness.py --record SWEEP_ID  # writes it, from a sweep of fairness.yaml

The trials of two optimizers, each trained in full once, arrive in 1,000 random orders and are played through ASHA
(eta 3) by the project's own rules and clock, two at a time. The better optimizer is the one that has the best trial of
all; a search names the optimizer of the best trial that it trained in full.
"""

import argparse
import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.plan.simulation import KnownTrial, simulate
from sweeps.stopping.asha import Rungs, rung_epochs
from sweeps.stopping.promotion import PromotionRungs
from sweeps.stopping.rule import Rule

HERE = Path(__file__).parent
CURVES = HERE / "fairness_curves.json"
PLOT = HERE / "fairness.svg"
NUM_ORDERS = 1000
GRACES = (1, 3, 9)
ETA = 3
SLOTS = 2

Curves = Mapping[str, Sequence[Sequence[float]]]  # optimizer -> trial -> validation accuracy after each epoch


@dataclass(frozen=True)
class Outcome:
    """What 1,000 orders came to.

    Attributes:
        correct: Share of them in which the better optimizer was named.
        epochs: Mean number of epochs.
        shortfall: Mean of the best trial of all less the one that was named, as a fraction of all images.
    """

    correct: float
    epochs: float
    shortfall: float


def record(sweep_id: str) -> None:
    """Writes the curves of a sweep: numbers only."""
    from sweeps.home import choose_sweep, open_home
    from tracking.store.queries import list_sweeps, load_sweep

    home = open_home()
    known = [summary.sweep_id for summary in list_sweeps(home.tracking_uri, 100)]
    table = load_sweep(choose_sweep(known, sweep_id, str(home.path)), home.tracking_uri)
    curves = {
        arm: [
            {
                "lr": trial.parameters["lr"],
                "val_accuracy": [round(value, 4) for _, value in trial.history.get("val_accuracy", ())],
            }
            for trial in table.select(arm)
        ]
        for arm in table.arms
    }
    lines = [
        f' "{arm}": [\n' + ",\n".join("  " + json.dumps(trial) for trial in trials) + "\n ]"
        for arm, trials in curves.items()
    ]
    CURVES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def load_curves() -> Curves:
    """The recorded curves; one that broke off has NaN from there on."""
    recorded = json.loads(CURVES.read_text())
    longest = max(len(trial["val_accuracy"]) for trials in recorded.values() for trial in trials)
    return {
        arm: [[*trial["val_accuracy"], *[float("nan")] * (longest - len(trial["val_accuracy"]))] for trial in trials]
        for arm, trials in recorded.items()
    }


def find_best(curves: Curves) -> tuple[str, float]:
    """The optimizer that has the best trial of all, and its score: the best epoch's."""
    finished = {
        arm: [max(curve) for curve in trials if curve[-1] == curve[-1]]  # NaN does not equal itself
        for arm, trials in curves.items()
    }
    best = max(finished, key=lambda arm: max(finished[arm]))
    return best, max(finished[best])


def search(curves: Curves, order: Sequence[tuple[str, int]], shared: bool, grace: int, promotes: bool) -> Outcome:
    """One search: whether it names the better optimizer, at what cost."""
    (length,) = {len(curve) for trials in curves.values() for curve in trials}
    rungs = rung_epochs(grace, length, ETA)

    def build_rule() -> Rule:
        return PromotionRungs(rungs, ETA) if promotes else Rungs(rungs, ETA)

    groups = {"all": list(order)} if shared else {arm: [each for each in order if each[0] == arm] for arm in curves}
    trials = {name: [KnownTrial(curves[arm][number]) for arm, number in group] for name, group in groups.items()}
    done = simulate(trials, {name: build_rule() for name in groups}, SLOTS)
    full = [
        (max(curves[arm][number]), arm)
        for name, group in groups.items()
        for (arm, number), epochs in zip(group, done.arms[name].num_epochs, strict=True)
        if epochs == length and curves[arm][number][-1] == curves[arm][number][-1]
    ]
    best_arm, best = find_best(curves)
    score, named = max(full, default=(0.0, ""))
    return Outcome(named == best_arm, sum(sum(arm.num_epochs) for arm in done.arms.values()), best - score)


def study(curves: Curves) -> dict[tuple[str, str, int], Outcome]:
    """(rule, brackets, grace) -> what all orders came to."""
    everything = [(arm, number) for arm, trials in curves.items() for number in range(len(trials))]
    found = {}
    for promotes in (False, True):
        for shared in (True, False):
            for grace in GRACES:
                luck = random.Random(0)  # the same orders for all
                outcomes = [
                    search(curves, luck.sample(everything, len(everything)), shared, grace, promotes)
                    for _ in range(NUM_ORDERS)
                ]
                key = ("asha_promotion" if promotes else "asha", "one for both" if shared else "one for each", grace)
                found[key] = Outcome(
                    statistics.fmean(each.correct for each in outcomes),
                    statistics.fmean(each.epochs for each in outcomes),
                    statistics.fmean(each.shortfall for each in outcomes),
                )
    return found


def draw(found: Mapping[tuple[str, str, int], Outcome], title: str) -> str:
    """Bars of how often the better optimizer was named, as SVG."""
    colors = {"one for both": "#b45309", "one for each": "#1d4ed8"}
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 330" font-family="sans-serif" font-size="13">',
        '<rect width="720" height="330" fill="white"/>',
        f'<text x="40" y="24" font-size="15" font-weight="bold">{title}</text>',
    ]
    for share in (0, 25, 50, 75, 100):
        y = 260 - 2 * share
        parts.append(f'<line x1="50" y1="{y}" x2="700" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="44" y="{y + 4}" text-anchor="end" fill="#555">{share} %</text>')
    for panel, rule in enumerate(("asha", "asha_promotion")):
        for group, grace in enumerate(GRACES):
            left = 70 + 330 * panel + 100 * group
            for bar, (brackets, color) in enumerate(colors.items()):
                outcome = found[rule, brackets, grace]
                height = 200 * outcome.correct
                x = left + 40 * bar
                parts.append(f'<rect x="{x}" y="{260 - height:.1f}" width="34" height="{height:.1f}" fill="{color}"/>')
                label = f"{outcome.correct:.0%}".replace("%", " %")
                parts.append(f'<text x="{x + 17}" y="{254 - height:.1f}" text-anchor="middle">{label}</text>')
            parts.append(f'<text x="{left + 37}" y="278" text-anchor="middle" fill="#555">grace {grace}</text>')
        parts.append(f'<text x="{207 + 330 * panel}" y="300" text-anchor="middle" font-weight="bold">{rule}</text>')
    for index, (brackets, color) in enumerate(colors.items()):
        parts.append(f'<rect x="{240 + 130 * index}" y="310" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{258 + 130 * index}" y="321">{brackets}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="SWEEP_ID", help="write the curves of this sweep first")
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record)
    curves = load_curves()
    best_arm, best = find_best(curves)
    total = sum(len(curve) for trials in curves.values() for curve in trials)
    for arm, trials in curves.items():
        own = find_best({arm: trials})[1]
        leads = [sorted((curve[epoch - 1] for curve in trials), reverse=True)[:3] for epoch in (1, 3, 9)]
        print(f"{arm}: best {own:.4f}; best three after 1, 3 and 9 epochs: {leads}")
    print(f"the better optimizer is {best_arm}, {best:.4f}; {total} epochs without early stopping\n")
    found = study(curves)
    print("| rule | brackets | grace | better one named | epochs | behind the best |\n|---|---|---|---|---|---|")
    for (rule, brackets, grace), outcome in found.items():
        print(
            f"| {rule} | {brackets} | {grace} | {outcome.correct:.1%} | {outcome.epochs:,.0f} "
            f"({outcome.epochs / total:.0%}) | {100 * outcome.shortfall:.2f} points |"
        )
    PLOT.write_text(draw(found, f"How often the better optimizer ({best_arm}) is named, of {NUM_ORDERS:,} orders"))


if __name__ == "__main__":
    main()
