"""Does early stopping name the better optimizer? One bracket for both against one bracket for each, on recorded curves.

    .venv/bin/python tests/benchmarks/fairness.py                    # replays curves/two_optimizers.json
    .venv/bin/python tests/benchmarks/fairness.py --record SWEEP_ID  # writes it, from curves/two_optimizers.yaml

The trials of two optimizers, each trained in full once, arrive in 1,000 random orders and are played through ASHA
(eta 3) by the project's own rules and clock, two at a time. The better optimizer is the one that has the best trial of
all; a search names the optimizer of the best trial that it trained in full.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from recorded_curves import TWO_OPTIMIZERS, Curves, Outcome, find_best, find_finished, load_curves, record, study

from sweeps.stopping.asha import Rungs, rung_epochs
from sweeps.stopping.promotion import PromotionRungs

PLOT = Path(__file__).parent / "fairness.svg"
NUM_ORDERS = 1000
GRACES = (1, 3, 9)
ETA = 3


def study_all(curves: Curves) -> dict[tuple[str, str, int], Outcome]:
    """(rule, brackets, grace) -> what all orders came to."""
    return {
        (name, brackets, grace): study(
            curves,
            lambda length, rule=rule, grace=grace: rule(rung_epochs(grace, length, ETA), ETA),
            shared=brackets == "one for both",
            num_orders=NUM_ORDERS,
        )
        for name, rule in (("asha", Rungs), ("asha_promotion", PromotionRungs))
        for brackets in ("one for both", "one for each")
        for grace in GRACES
    }


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
        record(TWO_OPTIMIZERS, arguments.record)
    curves, _ = load_curves(TWO_OPTIMIZERS)
    best_arm, best = find_best(curves)
    total = sum(len(curve) for trials in curves.values() for curve in trials)
    for arm, trials in curves.items():
        leads = [sorted((curve[epoch - 1] for curve in trials), reverse=True)[:3] for epoch in (1, 3, 9)]
        print(f"{arm}: best {find_finished(trials):.4f}; best three after 1, 3 and 9 epochs: {leads}")
    print(f"the better optimizer is {best_arm}, {best:.4f}; {total} epochs without early stopping\n")
    found = study_all(curves)
    print("| rule | brackets | grace | better one named | epochs | behind the best |\n|---|---|---|---|---|---|")
    for (rule, brackets, grace), outcome in found.items():
        print(
            f"| {rule} | {brackets} | {grace} | {outcome.correct:.1%} | {outcome.epochs:,.0f} "
            f"({outcome.epochs / total:.0%}) | {100 * outcome.shortfall:.2f} points |"
        )
    PLOT.write_text(draw(found, f"How often the better optimizer ({best_arm}) is named, of {NUM_ORDERS:,} orders"))


if __name__ == "__main__":
    main()
