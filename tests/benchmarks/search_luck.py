"""How often is a winner named that has only been lucky in its search? Simulated sweeps, by the project's own functions.

    .venv/bin/python tests/benchmarks/search_luck.py    # writes search_luck.md; ten minutes on two cores

Every arm is searched by Optuna, with or without early stopping per arm. The best trial of each by validation is then
"retrained" with ten seeds, and judged as a real sweep is: by the seeds alone, and by the seeds and the search together.
"""

import math
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median

import numpy as np
import optuna

from tracking.statistics.comparison import compare_arms
from tracking.statistics.levels import verdict_alpha
from tracking.statistics.search_luck import judge_searches

PAGE = Path(__file__).with_name("search_luck.md")
NUM_SWEEPS = 200
NUM_ARMS = 4
NUM_SEEDS = 10
NUM_AGAIN = 5
TRIALS = (6, 12, 24, 48)
LEADS = (1.0, 3.0, 6.0)  # points
NUM_EPOCHS, RUNGS, ETA = 9, (1, 3), 3
TRIAL_SD, SEED_SD = 0.7, 0.5  # points: of a trial's validation accuracy, of a retraining's test accuracy
FLOOR = 10.0  # accuracy of one that learns nothing, in percent

Luck = np.random.Generator
Quality = Callable[[float, int, int], float]  # exponent of the learning rate, batch size, initialiser -> percent


class Stops(StrEnum):
    """Whether trials are stopped early; if so, the best five of each arm may be looked at again, in full."""

    NO = "no"
    YES = "yes"
    THEN_FIVE = "yes, then 5 in full"


@dataclass(frozen=True)
class Setup:
    """What is simulated: how it is searched, which trials are stopped early, trials an arm, lead of the first arm."""

    method: str
    stops: Stops
    num_trials: int
    lead: float


def draw_surface(luck: Luck) -> Quality:
    """What settings are worth: a hill over the learning rate with a cliff beside it, and two choices."""
    top, center, steep = luck.uniform(60, 80), luck.uniform(-3, -1), luck.uniform(5, 15)
    cliff, sizes, second = luck.uniform(0.5, 1.2), luck.uniform(-2.5, 0, 3), luck.uniform(-1.5, 0)

    def measure(exponent: float, size: int, initializer: int) -> float:
        away = exponent - center
        if away > cliff:
            return FLOOR
        return max(FLOOR, top - steep * away**2 + float(sizes[size] - sizes.max()) + initializer * second)

    return measure


def search(setup: Setup, quality: Quality, lead: float, luck: Luck) -> tuple[list[float], float]:
    """What each trial of an arm came to or would have, as the report reckons it; what the chosen settings are worth."""
    seed = int(luck.integers(2**31))
    startup = min(10, max(3, setup.num_trials // 3))  # as the project's
    sampler = {
        "bayes": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }[setup.method]()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    at_rung: dict[int, list[float]] = {rung: [] for rung in RUNGS}
    curves, worth = [], []
    for _ in range(setup.num_trials):
        trial = study.ask()
        exponent = trial.suggest_float("exponent", -4, 0)
        choices = trial.suggest_categorical("size", [0, 1, 2]), trial.suggest_categorical("initializer", [0, 1])
        worth.append(quality(exponent, *choices) + lead)
        curves.append(train(worth[-1], {} if setup.stops is Stops.NO else at_rung, luck))
        study.tell(trial, max(curves[-1]))
    scores = extrapolate(curves)
    ranking = sorted(range(len(curves)), key=lambda index: (len(curves[index]), max(curves[index])), reverse=True)
    chosen = ranking[0]
    if setup.stops is Stops.THEN_FIVE:
        for index in ranking[:NUM_AGAIN]:
            scores[index] = worth[index] + TRIAL_SD * luck.normal()
        chosen = max(ranking[:NUM_AGAIN], key=scores.__getitem__)
    return scores, worth[chosen]


def train(worth: float, at_rung: dict[int, list[float]], luck: Luck) -> list[float]:
    """A trial's validation accuracies up to where it was stopped."""
    pace, noise, curve = 2 * math.exp(0.3 * luck.normal()), TRIAL_SD * luck.normal(), []
    for epoch in range(1, NUM_EPOCHS + 1):
        share = (1 - math.exp(-epoch / pace)) / (1 - math.exp(-NUM_EPOCHS / pace))
        curve.append(FLOOR + (worth + noise - FLOOR) * share)
        if epoch in at_rung:
            at_rung[epoch].append(max(curve))
            kept = sorted(at_rung[epoch], reverse=True)[: max(1, len(at_rung[epoch]) // ETA)]
            if max(curve) < kept[-1]:
                break
    return curve


def extrapolate(curves: list[list[float]]) -> list[float]:
    """As `analysis.search_luck.list_final_scores`: those that were stopped gain what those that went on gained."""
    whole = [curve for curve in curves if len(curve) == NUM_EPOCHS]
    return [
        max(curve)
        + (median(max(each) - max(each[: len(curve)]) for each in whole) if whole and len(curve) < NUM_EPOCHS else 0.0)
        for curve in curves
    ]


def simulate(task: tuple[Setup, int]) -> tuple[bool, bool, bool, bool, bool]:
    """What is said of one simulated sweep.

    Returns:
        By the seeds alone, whether a winner is named, and whether the best is called better than any other arm; the
        same by seeds and search; whether the best is the first arm, which has the lead.
    """
    setup, number = task
    luck = np.random.default_rng([number, setup.num_trials, round(setup.lead)])
    quality, alpha = draw_surface(luck), verdict_alpha(raced=False)
    values, outcomes = {}, {}
    for index in range(NUM_ARMS):
        arm = f"arm {index}"
        values[arm], worth = search(setup, quality, setup.lead if index == 0 else 0.0, luck)
        outcomes[arm] = dict(enumerate(((worth + SEED_SD * luck.normal(size=NUM_SEEDS)) / 100).tolist()))
    comparison = compare_arms(outcomes, 0.0, alpha=alpha)
    assert comparison is not None
    best = comparison.best
    found = judge_searches(values, best, frozenset(), alpha)
    by_seeds = {pair.other for pair in comparison.to_best() if pair.verdict == "better"}
    shown = {other for other in by_seeds if not found[best, other].is_luck}
    return len(by_seeds) == NUM_ARMS - 1, bool(by_seeds), len(shown) == NUM_ARMS - 1, bool(shown), best == "arm 0"


def build_page(pool: ProcessPoolExecutor) -> str:
    """The tables."""
    lines = [
        "# What the luck of a search does to a verdict",
        "",
        f"`python tests/benchmarks/search_luck.py` writes this page. {NUM_SWEEPS} simulated sweeps a line, of "
        f"{NUM_ARMS} arms with {NUM_SEEDS} seeds each: a hill over four decades of the learning rate, three batch "
        f"sizes, two initialisers. A trial's noise has a standard deviation of {TRIAL_SD} points, a retraining's "
        f"{SEED_SD}. Stopped: at epochs 1 and 3 of 9 outside the best third, per arm; then 5 in full: `confirm: "
        "{select: {top: 5, seeds: 1}}`.",
        "",
        "## Four arms that are the same",
        "",
        "Each verdict here is wrong.",
        "",
        "| method | stopped | trials an arm | winner, by seeds | any better, by seeds | winner | any better |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for method in ("bayes", "random"):
        for stops in Stops:
            for num_trials in TRIALS:
                shares = measure(pool, Setup(method, stops, num_trials, 0.0)).mean(axis=0)
                shown = " | ".join(f"{share:.1%}" for share in shares[:4])
                lines.append(f"| {method} | {stops} | {num_trials} | {shown} |")
    lines += [
        "",
        "## One arm is better",
        "",
        "How often it is named, and how often another one is.",
        "",
        "| method | stopped | trials an arm | lead, points | named by seeds | another, by seeds | named | another |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for stops in Stops:
        for lead in LEADS:
            for num_trials in TRIALS[1:]:
                found = measure(pool, Setup("bayes", stops, num_trials, lead))
                right = found[:, 4]
                cells = [found[:, 0] & right, found[:, 0] & ~right, found[:, 2] & right, found[:, 2] & ~right]
                shown = " | ".join(f"{cell.mean():.1%}" for cell in cells)
                lines.append(f"| bayes | {stops} | {num_trials} | {lead:g} | {shown} |")
    return "\n".join(lines) + "\n"


def measure(pool: ProcessPoolExecutor, setup: Setup) -> np.ndarray:
    """What each simulated sweep came to, shape (NUM_SWEEPS, 5)."""
    return np.array(list(pool.map(simulate, [(setup, number) for number in range(NUM_SWEEPS)], chunksize=10)))


def be_quiet() -> None:
    """For each process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    with ProcessPoolExecutor(os.cpu_count(), initializer=be_quiet) as workers:
        PAGE.write_text(build_page(workers), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
