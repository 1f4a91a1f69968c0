"""Whether an arm is ahead by itself, or by the luck of its search. Pure.

Retrainings with fresh seeds tell which **settings** are better. They do not tell which **arm** is: with another draw of
trials each arm would have found other settings. Four arms that are one optimizer under four names have a "winner" by
the seeds alone in 32 to 51 % of simulated sweeps with 12 trials an arm (tests/benchmarks/search_luck.md).

The test counts exceedances: how many trials of the better arm did better than the best trial of the other. Were both
the same, each trial could as well belong to either, and k exceedances would need the k best trials of all in one arm.
It assumes no shape of the results. Of 12 trials an arm, 5 exceedances are enough for a level of 4 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from tracking.statistics.comparison import is_selected_best

Pairing = tuple[str, str]


@dataclass(frozen=True)
class SearchLuck:
    """The search trials of one arm beside those of another.

    Attributes:
        arm, other: The one that is ahead, and the one behind.
        num_ahead: Trials of `arm` that did better than the best of `other`.
        num_trials: Of `arm`.
        num_needed: How many would show it if the arm is as far ahead of every other; None where so few trials cannot.
        num_needed_alone: How many would show it of this pair, whatever the others do; None likewise.
        p_value: That at least as many are, on either side, if the arms are the same; of this pair alone.
        is_luck: Whether the arms may be the same, for all that their searches say.
    """

    arm: str
    other: str
    num_ahead: int
    num_trials: int
    num_needed: int | None
    num_needed_alone: int | None
    p_value: float
    is_luck: bool


def exceedance_p_value(num_ahead: int, num_trials: int, num_other: int) -> float:
    """The chance that the best `num_ahead` trials, or more, all belong to one of two arms that are the same, two-sided.

    Args:
        num_ahead: Trials of the arm that is ahead which did better than the best of the other; from 0 to `num_trials`.
        num_trials: Of the arm that is ahead, at least 1.
        num_other: Of the other one, at least 1.

    Raises:
        ValueError: A number is out of range.

    Source: the exceedance test (precedence test): Epstein 1954, "Tables for the Distribution of the Number of
    Exceedances"; Balakrishnan and Ng 2006, "Precedence-Type Tests and Applications".
    """
    if num_trials < 1 or num_other < 1 or not 0 <= num_ahead <= num_trials:
        raise ValueError(f"{num_ahead} of {num_trials} trials cannot be ahead of {num_other}")
    num_all = num_trials + num_other
    return min(1.0, 2 * math.comb(num_all - num_ahead, num_other) / math.comb(num_all, num_other))


def judge_searches(
    values: Mapping[str, Sequence[float]], best: str, settled: frozenset[Pairing], alpha: float
) -> dict[Pairing, SearchLuck]:
    """Whether each pair of arms may owe its order to the luck of the searches: (ahead, behind) -> what is known.

    Arm `best` is ahead by itself when its trials show it beside every other arm, each at `alpha`, since then the
    runner-up alone decides (`comparison.is_selected_best`). Any other pair is shown at `alpha` over the number of
    pairs.

    Args:
        values: Arm -> what its search trials came to, more is better; minus infinity for one that diverged.
        best: The arm whose retrainings have the best mean.
        settled: Pairs, each as (ahead, behind), whose order hangs on no luck.
        alpha: The chance that any pair of equal arms is called different.
    """
    p_values, ahead = {}, {}
    for arm, other in permutations(values, 2):
        limit = max(values[other], default=-math.inf)
        ahead[arm, other] = sum(value > limit for value in values[arm])
        known = values[arm] and values[other]
        p_values[arm, other] = (
            exceedance_p_value(ahead[arm, other], len(values[arm]), len(values[other])) if known else 1.0
        )
    num_pairs = max(1, math.comb(len(values), 2))
    wins = is_selected_best([p_values[best, other] for other in values if (best, other) in p_values], alpha)
    return {
        pair: SearchLuck(
            *pair,
            num_ahead=ahead[pair],
            num_trials=len(values[pair[0]]),
            num_needed=least_ahead(len(values[pair[0]]), len(values[pair[1]]), alpha),
            num_needed_alone=least_ahead(len(values[pair[0]]), len(values[pair[1]]), alpha / num_pairs),
            p_value=p_value,
            is_luck=pair not in settled and p_value * num_pairs > alpha and not (wins and pair[0] == best),
        )
        for pair, p_value in p_values.items()
    }


def least_ahead(num_trials: int, num_other: int, alpha: float) -> int | None:
    """The least number of trials ahead that shows a difference at `alpha`; None where no number does.

    Args:
        num_trials: Of the arm that is ahead.
        num_other: Of the other one.
        alpha: The level.
    """
    if num_trials < 1 or num_other < 1:
        return None
    enough = (number for number in range(num_trials + 1) if exceedance_p_value(number, num_trials, num_other) <= alpha)
    return next(enough, None)
