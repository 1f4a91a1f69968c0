"""How the error of a verdict is shared out over everything that is looked at. Pure.

At most 5 % of sweeps may name a wrong winner or drop the best arm, whatever is looked at, and however often. The race
spends one point of these five. The verdict at the planned number of seeds spends four fifths of the rest. Every verdict
after seeds were added spends half of what is then left. The chances of an error add up to no more than 5 %.

Source: fixed increments of alpha as in Slud and Wei 1982, each look being tested at its own increment (Bonferroni), so
that neither the number of looks nor their dependence matters.
"""

from __future__ import annotations

ALPHA = 0.05  # of a whole sweep
RACE_ALPHA = 0.01
FIRST_SHARE = 0.8
MIN_LOOK_SEEDS = 4  # of the first look of the race
MIN_RACE_SEEDS = MIN_LOOK_SEEDS + 1  # no look is taken at the planned number of seeds: that is the verdict's
DEFAULT_SEEDS = 10  # of each configuration, where a verdict is wanted and no number is said (protocol, rule 8)
MIN_WINNER_SEEDS = 6  # the least with which a first verdict can call an arm better, by 2 / 2^6
MIN_WINNER_TRIALS = 4  # of each arm, the least that can show that a lead is no luck of the search, by 2 / 70
MIN_VERDICT_SEEDS = 5  # the least with which a first verdict can be more than "not enough seeds": a tie, by 1 / 2^5


def verdict_alpha(*, raced: bool, num_extensions: int = 0) -> float:
    """The level of a verdict: 0.04, or 0.032 after a race; 0.005 or 0.004 after the first extension, then half each.

    Both first levels are within reach of a sign-flip test with 6 seeds (2/64).

    Args:
        raced: Whether arms were dropped, or could have been, before all seeds were in.
        num_extensions: How often seeds were added after a verdict had been seen.

    Raises:
        ValueError: `num_extensions` is negative.
    """
    if num_extensions < 0:
        raise ValueError(f"num_extensions must be at least 0, not {num_extensions}")
    budget = ALPHA - (RACE_ALPHA if raced else 0.0)
    return budget * (FIRST_SHARE if num_extensions == 0 else (1 - FIRST_SHARE) * 0.5**num_extensions)


def spent_alpha(*, raced: bool, num_extensions: int = 0) -> float:
    """The chance of any error up to a verdict: that of the race, and of all verdicts that could be seen before.

    Args:
        raced: As in `verdict_alpha`.
        num_extensions: As in `verdict_alpha`.
    """
    verdicts = (verdict_alpha(raced=raced, num_extensions=number) for number in range(num_extensions + 1))
    return (RACE_ALPHA if raced else 0.0) + sum(verdicts)


def race_look_alpha(look: int) -> float:
    """The level of a look of the race: half of its budget at the first, a sixth at the second, then a twelfth.

    The shares 1 / (k (k + 1)) add up to 1 over all k, so that the planned number of seeds does not enter.

    Args:
        look: Counts from 1.
    """
    return RACE_ALPHA / (look * (look + 1))
