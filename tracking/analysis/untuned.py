"""What tuning was worth: the best settings of each arm beside its untuned defaults. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracking.analysis.labels import format_percent
from tracking.analysis.leaderboard import find_best
from tracking.analysis.outcomes import WORST, count_lacking_seeds, list_outcomes, show_interval
from tracking.statistics.levels import ALPHA
from tracking.statistics.verdict import Verdict
from tracking.table import SweepTable

if TYPE_CHECKING:
    from tracking.statistics.arms import ArmSummary
    from tracking.statistics.pairs import Pair


@dataclass(frozen=True)
class Untuned:
    """An arm's untuned defaults on the test images.

    Attributes:
        summary: Mean, spread and interval.
        pair: The tuned settings beside them, seen from the tuned ones; None where they share no seed.
    """

    summary: ArmSummary
    pair: Pair | None


def compare_untuned(table: SweepTable) -> Mapping[str, Untuned]:
    """Arm -> its untuned defaults, in the order of the arms; those without any result are left out.

    Tuned settings and defaults stand beside each other when all their seeds are in.
    """
    from tracking.statistics.arms import summarize_arm
    from tracking.statistics.comparison import compare_with_default

    defaults = {arm: list_outcomes(table.defaults(arm)) for arm in table.arms}
    if not any(defaults.values()):
        return {}
    best = {arm: find_best(table, arm) for arm in table.arms}
    retrained = {arm: table.retrainings(trial) for arm, trial in best.items() if trial is not None}
    tuned = {
        arm: list_outcomes(trials)
        for arm, trials in retrained.items()
        if not count_lacking_seeds(table, trials) and not count_lacking_seeds(table, table.defaults(arm))
    }
    pairs = compare_with_default(tuned, defaults, WORST, alpha=ALPHA, margin=table.confirmation.margin)
    summaries = {arm: summarize_arm(each, WORST, bounds=(0.0, 1.0)) for arm, each in defaults.items()}
    return {arm: Untuned(each, pairs.get(arm)) for arm, each in summaries.items() if each is not None}


def tell_untuned(table: SweepTable) -> tuple[str, ...]:
    """A sentence for each arm whose tuned settings do not beat its defaults: what its search found is worth nothing."""
    return tuple(
        f"{arm}: its tuned settings do not beat its untuned defaults, which reach {format_percent(each.summary.mean)} "
        f"({_signed(each.pair.difference)} points over {each.pair.num_seeds} seeds). Its ranges or its budget are at "
        "fault, and the verdict is about its tuned settings alone."
        for arm, each in find_useless_tuning(table).items()
        if each.pair is not None
    )


def find_useless_tuning(table: SweepTable) -> dict[str, Untuned]:
    """The arms whose tuned settings do not beat their untuned defaults, each with those."""
    return {
        arm: each
        for arm, each in compare_untuned(table).items()
        if each.pair is not None and (each.pair.difference <= 0 or each.pair.verdict is Verdict.TIE)
    }


def format_untuned(table: SweepTable) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and cells as text: a row for each arm whose untuned defaults were trained."""
    header = (
        "arm", "untuned test accuracy", "SD", "seeds", "tuned is ahead by", "95 % interval of that", "p", "verdict"
    )  # fmt: skip
    return header, tuple(_format(f"{arm}, untuned", each) for arm, each in compare_untuned(table).items())


def _format(name: str, untuned: Untuned) -> tuple[str, ...]:
    summary, pair = untuned.summary, untuned.pair
    cells = (
        name,
        format_percent(summary.mean),
        "–" if summary.sd is None else f"{100 * summary.sd:.2f}",
        str(summary.num_seeds) + (f" ({summary.num_diverged} diverged)" if summary.num_diverged else ""),
    )
    if pair is None:
        return (*cells, "–", "–", "–", "–")
    return (
        *cells,
        _signed(pair.difference),
        "–" if pair.interval is None else show_interval(pair.interval),
        f"{pair.p_value:.2g}",
        str(pair.verdict.reversed),
    )


def _signed(difference: float) -> str:
    return f"{100 * difference:+.2f}".replace("-", "\N{MINUS SIGN}")
