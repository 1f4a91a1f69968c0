"""Do the statistics hold what they promise? Simulated retrainings, by the project's own functions.

    .venv/bin/python tests/benchmarks/simulated_verdicts.py    # writes statistics.md; some minutes on one core

A sweep is drawn as arms x seeds of noise with mean 0 and standard deviation 1, and judged as a real one is.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from tracking.statistics.comparison import is_selected_best
from tracking.statistics.intervals import Interval, mean_interval, student_interval
from tracking.statistics.levels import verdict_alpha
from tracking.statistics.pairs import equivalence_test
from tracking.statistics.race import RaceStanding, run_race
from tracking.statistics.sign_flips import adjusted_p_values, holm, sign_flip_test

PAGE = Path(__file__).with_name("statistics.md")  # this file is not statistics.py, which would hide the library
NUM_SAMPLES = 2000  # of intervals
NUM_SWEEPS = 1000
NUM_POWER = 500
NUM_RACES = 2000
NUM_SAVINGS = 400
WORST = -100.0  # of a diverged retraining
SEEDS = (3, 6, 10, 20)
ARMS = (2, 4, 8)
PLANNED = (6, 10)

Luck = np.random.Generator
Noise = Callable[[Luck, tuple[int, int, int]], np.ndarray]  # (sweeps, arms, seeds) -> mean 0, standard deviation 1


def draw_skewed(luck: Luck, shape: tuple[int, int, int]) -> np.ndarray:
    """Log-normal with its long tail to the bad side."""
    return (math.exp(0.5) - luck.lognormal(0.0, 1.0, shape)) / math.sqrt((math.e - 1) * math.e)


def draw_two_values(luck: Luck, shape: tuple[int, int, int], low_share: float) -> np.ndarray:
    """One of two values, with a little noise on top."""
    spread = math.sqrt(low_share * (1 - low_share))
    values = np.where(luck.random(shape) < low_share, -(1 - low_share) / spread, low_share / spread)
    return (values + 0.1 * luck.normal(size=shape)) / math.sqrt(1.01)


def draw_unequal(luck: Luck, shape: tuple[int, int, int]) -> np.ndarray:
    """Normal; the first and the last quarter of the arms, one each at least, are three times as noisy as the others."""
    noise = luck.normal(size=shape)
    quarter = max(1, shape[1] // 4)
    noise[:, :quarter] *= 3
    if shape[1] > 2:
        noise[:, -quarter:] *= 3
    return noise


def draw_diverging(luck: Luck, shape: tuple[int, int, int]) -> np.ndarray:
    """Normal; NaN for one retraining in five."""
    noise = luck.normal(size=shape)
    noise[luck.random(shape) < 0.2] = np.nan
    return noise


NOISES: Mapping[str, Noise] = {
    "normal": lambda luck, shape: luck.normal(size=shape),
    "skewed": draw_skewed,
    "two values, 1:1": lambda luck, shape: draw_two_values(luck, shape, 0.5),
    "two values, 1:4": lambda luck, shape: draw_two_values(luck, shape, 0.2),
}
ALL_NOISES = {**NOISES, "normal, SD 3 in some arms": draw_unequal, "normal, 1 of 5 diverges": draw_diverging}


def cover(low: np.ndarray, high: np.ndarray) -> str:
    """How often intervals contain the true mean, 0."""
    return f"{np.mean((low <= 0) & (high >= 0)):.1%}"


def find_bca(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of BCa intervals of many samples; a sample of equal values has none, and covers nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (samples,), np.mean, axis=1, n_resamples=2000, batch=50, method="BCa", rng=np.random.default_rng(0)
        ).confidence_interval
    return found.low, found.high


def find_t(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    number = samples.shape[1]
    half = stats.t.ppf(0.975, number - 1) * samples.std(axis=1, ddof=1) / math.sqrt(number)
    return samples.mean(axis=1) - half, samples.mean(axis=1) + half


def find_bootstrap_t(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of bootstrap-t intervals: Efron and Tibshirani 1993, section 12.5."""
    luck, number = np.random.default_rng(0), samples.shape[1]
    ends = []
    for part in np.array_split(samples, 20):
        drawn = part[:, luck.integers(0, number, (1000, number))]
        spread = drawn.std(axis=2, ddof=1)
        spread[spread == 0] = np.nan
        ratios = (drawn.mean(axis=2) - part.mean(axis=1, keepdims=True)) * math.sqrt(number) / spread
        low, high = np.nanquantile(ratios, (0.025, 0.975), axis=1)
        error = part.std(axis=1, ddof=1) / math.sqrt(number)
        ends.append((part.mean(axis=1) - high * error, part.mean(axis=1) - low * error))
    return np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])


def find_printed(samples: np.ndarray, find: Callable[[np.ndarray], Interval | None]) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the intervals that the project prints, for the first 500 samples."""
    found = [find(sample) for sample in samples[:500]]
    ends = [(each.low, each.high) if each else (math.nan, math.nan) for each in found]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


def simulate_coverage() -> Iterator[Sequence[str]]:
    for name, noise in NOISES.items():
        for number in SEEDS:
            arms = noise(np.random.default_rng(number), (NUM_SAMPLES, 2, number))
            differences = arms[:, 0] - arms[:, 1]
            yield (
                name,
                str(number),
                *(cover(*find(arms[:, 0])) for find in (find_bca, find_t, find_bootstrap_t)),
                cover(*find_printed(arms[:, 0], mean_interval)),
                cover(*find_printed(differences, student_interval)),
            )


def list_differences(values: np.ndarray) -> np.ndarray:
    """Every pair of rows, as one row each."""
    return np.array([values[one] - values[other] for one, other in combinations(range(len(values)), 2)])


def find_worse(outcomes: np.ndarray, alpha: float) -> set[int]:
    """The arms that the verdict calls worse than the best."""
    values = np.nan_to_num(outcomes, nan=WORST)
    pairs, best = list(combinations(range(len(values)), 2)), int(values.mean(axis=1).argmax())
    others = [arm for arm in range(len(values)) if arm != best]
    if is_selected_best([sign_flip_test(values[best] - values[arm]) for arm in others], alpha):
        return set(others)
    p_values = adjusted_p_values(list_differences(values))
    return {sum(pair) - best for pair, p in zip(pairs, p_values, strict=True) if best in pair and p <= alpha}


def is_alarm_of_holm(outcomes: np.ndarray, *, only_best: bool) -> bool:
    """Whether Holm's correction at 0.05 calls any arm worse."""
    values = np.nan_to_num(outcomes, nan=WORST)
    best = int(values.mean(axis=1).argmax())
    rows = values[best] - np.delete(values, best, axis=0) if only_best else list_differences(values)
    return min(holm([sign_flip_test(row) for row in rows])) <= 0.05


def simulate_false_alarms() -> Iterator[Sequence[str]]:
    alpha = verdict_alpha(raced=False)
    for name, noise in ALL_NOISES.items():
        for number in PLANNED:
            for arms in ARMS:
                sweeps = noise(np.random.default_rng(arms), (NUM_SWEEPS, arms, number))
                worse = [find_worse(values, alpha) for values in sweeps]
                yield (
                    name,
                    str(number),
                    str(arms),
                    f"{np.mean([bool(each) for each in worse]):.1%}",
                    f"{np.mean([len(each) == arms - 1 for each in worse]):.1%}",
                    f"{np.mean([is_alarm_of_holm(values, only_best=True) for values in sweeps]):.1%}",
                    f"{np.mean([is_alarm_of_holm(values, only_best=False) for values in sweeps]):.1%}",
                )


def simulate_power() -> Iterator[Sequence[str]]:
    alpha = verdict_alpha(raced=False)
    for arms in ARMS:
        for number in (6, 10, 14):
            luck = np.random.default_rng(number)
            cells = []
            for effect in (0.5, 1.0, 2.0, 3.0):
                sweeps = luck.normal(size=(NUM_POWER, arms, number))
                sweeps[:, 0] += effect
                named = [
                    values.mean(axis=1).argmax() == 0 and len(find_worse(values, alpha)) == arms - 1
                    for values in sweeps
                ]
                cells.append(f"{np.mean(named):.0%}")
            yield (str(arms), str(number), *cells)


def simulate_ties() -> Iterator[Sequence[str]]:
    alpha = verdict_alpha(raced=False)
    for number in (6, 10):
        for sd in (0.25, 0.5, 1.0, 1.5):
            luck = np.random.default_rng(number)
            noise = luck.normal(0.0, sd * math.sqrt(2), (NUM_SWEEPS, number))
            rates = [
                np.mean([equivalence_test(row + shift, 1.0) <= alpha for row in noise]) for shift in (0.0, 0.5, 1.0)
            ]
            yield (str(number), f"{sd:g}", *(f"{rate:.1%}" for rate in rates))


def play(values: np.ndarray) -> tuple[RaceStanding, int | None]:
    """A sweep with a race and the verdict after it: the standing, and the winner's row."""
    outcomes = {str(arm): dict(enumerate(row)) for arm, row in enumerate(values.tolist())}
    planned = values.shape[1]
    standing = run_race(outcomes, num_finished=planned, num_planned=planned, worst=WORST)
    left = [int(arm) for arm in standing.active]
    worse = find_worse(values[left], verdict_alpha(raced=True))
    best = left[int(np.nan_to_num(values[left], nan=WORST).mean(axis=1).argmax())]
    return standing, best if len(worse) == len(left) - 1 else None


def is_wrong(values: np.ndarray, standing: RaceStanding) -> bool:
    """Whether race or verdict said of any arm that it is worse than another."""
    left = [int(arm) for arm in standing.active]
    return bool(standing.dropped) or bool(find_worse(values[left], verdict_alpha(raced=True)))


def simulate_equal_races() -> Iterator[Sequence[str]]:
    for name, noise in ALL_NOISES.items():
        for planned in PLANNED:
            for arms in ARMS:
                sweeps = noise(np.random.default_rng(arms), (NUM_RACES, arms, planned))
                found = [(*play(values), values) for values in sweeps]
                yield (
                    name,
                    str(planned),
                    str(arms),
                    f"{np.mean([any(each.arm == '0' for each in standing.dropped) for standing, _, _ in found]):.2%}",
                    f"{np.mean([bool(standing.dropped) for standing, _, _ in found]):.2%}",
                    f"{np.mean([winner is not None for _, winner, _ in found]):.2%}",
                    f"{np.mean([is_wrong(values, standing) for standing, _, values in found]):.2%}",
                )


def simulate_savings() -> Iterator[Sequence[str]]:
    for planned in PLANNED:
        for arms in ARMS:
            for effect in (1, 3, 5, 10):
                sweeps = np.random.default_rng(arms).normal(size=(NUM_SAVINGS, arms, planned))
                sweeps[:, 0] += effect
                found = [play(values) for values in sweeps]
                saved = [
                    sum(planned - each.num_seeds for each in standing.dropped) / (arms * planned)
                    for standing, _ in found
                ]
                yield (
                    str(planned),
                    str(arms),
                    str(effect),
                    f"{np.mean(saved):.0%}",
                    f"{(arms - 1) * (planned - 4) / (arms * planned):.0%}",
                    f"{np.mean([winner == 0 for _, winner in found]):.0%}",
                    f"{np.mean([winner not in (0, None) for _, winner in found]):.1%}",
                    f"{np.mean([any(each.arm == '0' for each in standing.dropped) for standing, _ in found]):.1%}",
                )


class Table(NamedTuple):
    """One of the page's tables, and what fills it."""

    title: str
    text: str
    header: Sequence[str]
    simulate: Callable[[], Iterator[Sequence[str]]]


def write_table(table: Table) -> str:
    lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.simulate()]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    print(f"{table.title}\n{rows}\n", flush=True)
    return f"## {table.title}\n\n{table.text}\n\n{rows}\n"


TABLES = (
    Table(
        "Coverage of 95 % intervals",
        f"Of {NUM_SAMPLES:,} samples; the last two columns of 500. Printed: Student's t below 20 values and for "
        "differences, else BCa. Samples of equal values get no interval and count as missed.",
        ("noise", "seeds", "BCa", "Student's t", "bootstrap-t", "printed", "printed, difference of two arms"),
        simulate_coverage,
    ),
    Table(
        "False alarms with equal arms",
        f"Of {NUM_SWEEPS:,} sweeps without a race, at level 0.04 as in a real one. Holm's corrections at 0.05 for "
        "comparison.",
        (
            "noise",
            "seeds",
            "arms",
            "any arm called worse",
            "a winner named",
            "Holm, pairs to the best",
            "Holm, all pairs",
        ),
        simulate_false_alarms,
    ),
    Table(
        "Power",
        f"How often the better arm is named the winner, of {NUM_POWER} sweeps with normal "
        "noise. The difference is in standard deviations of one arm's noise.",
        ("arms", "seeds", "0.5 SD", "1 SD", "2 SD", "3 SD"),
        simulate_power,
    ),
    Table(
        "Ties",
        f"How often two arms are called a tie, of {NUM_SWEEPS:,} sweeps with normal noise. In units of the margin: "
        "at a true difference of 1 a tie is an error.",
        ("seeds", "SD of each arm", "difference 0", "0.5", "1"),
        simulate_ties,
    ),
    Table(
        "Race with equal arms",
        f"Of {NUM_RACES:,} sweeps: looks from the fourth seed on, then the verdict at level 0.032.",
        (
            "noise",
            "planned seeds",
            "arms",
            "the first arm dropped",
            "any arm dropped",
            "a winner named at any time",
            "any arm called worse at any time",
        ),
        simulate_equal_races,
    ),
    Table(
        "Race with one better arm",
        f"Of {NUM_SAVINGS} sweeps with normal noise; the other arms are equal. The best arm is trained with all "
        "seeds, so that the greatest saving is the one given.",
        (
            "planned seeds",
            "arms",
            "ahead by SD",
            "retrainings saved",
            "at most",
            "right winner",
            "wrong winner",
            "best arm dropped",
        ),
        simulate_savings,
    ),
)


def main() -> None:
    introduction = (
        "# What the statistics hold\n\n`python tests/benchmarks/simulated_verdicts.py` writes this page. The standard "
        "deviation of all noise is 1 unless said. Two values, 1:4: one retraining of five ends at the lower value. "
        "SD 3: the first and the last quarter of the arms are three times as noisy. A diverged retraining counts as "
        f"{WORST:g}.\n"
    )
    PAGE.write_text("\n".join([introduction, *map(write_table, TABLES)]))


if __name__ == "__main__":
    main()
