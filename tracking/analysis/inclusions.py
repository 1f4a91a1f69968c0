"""Whether a tuned optimizer lost to one that it contains as a special case. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracking.analysis.leaderboard import LeaderboardRow, searched_parameters
from tracking.analysis.verdict import judge_retrainings
from tracking.table import SweepTable

OPTIMIZER = "optimizer"


def tell_lost_inclusions(table: SweepTable, rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    """Yields a sentence for each optimizer that is worse than its own special case: its search is at fault.

    Args:
        table: The sweep; only one that compares optimizers, and nothing else, is looked at.
        rows: Its leaderboard.

    Source: protocol, rule 10; Choi et al. 2019, "On Empirical Comparisons of Optimizers for Deep Learning".
    """
    from tracking.statistics.audit import check_inclusions

    judgement = judge_retrainings(table, rows) if tuple(table.compared) == (OPTIMIZER,) else None
    if judgement is None:
        return
    searched = {arm: _list_varied(table, arm) for arm in table.arms}
    for fault in check_inclusions(judgement.by_seeds, searched):
        general, special = fault.inclusion.general, fault.inclusion.special
        yield (
            f"{general} is {100 * abs(fault.pair.difference):.2f} points worse than {special}, which it can imitate "
            f"with the {', '.join(fault.inclusion.needs)} that was searched: its ranges or its budget are at fault, "
            "not the optimizer."
        )


def _list_varied(table: SweepTable, arm: str) -> list[str]:
    """The settings of an arm that took more than one value."""
    values: dict[str, set[object]] = {}
    for trial in table.select(arm):
        for name, value in searched_parameters(table, trial).items():
            values.setdefault(name, set()).add(value)
    return [name for name, taken in values.items() if len(taken) > 1]
