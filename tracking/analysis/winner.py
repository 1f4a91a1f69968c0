"""Whose settings stand for a sweep, and what is to be said beside them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tracking.analysis.findings import build_headline, build_verdict
from tracking.analysis.leaderboard import build_leaderboard, find_best, find_winner
from tracking.names import STATE_RUNNING
from tracking.table import SweepTable, TrialRow


@dataclass(frozen=True)
class Winner:
    """The best settings of a sweep.

    Attributes:
        trial: The trial whose settings they are: the retraining that is registered as a model, or the search trial
            where none was trained again to its end.
        found_by: The search trial that found them.
        retrained: Their retrainings, in the order of their numbers.
        remarks: Sentences that a reader must know beside the settings: the verdict, what weakens it, the sweep's
            notices.
        test_accuracy: Mean over the retrainings, as a fraction, diverged ones as 0; None where there was none.
    """

    trial: TrialRow
    found_by: TrialRow
    retrained: tuple[TrialRow, ...]
    remarks: tuple[str, ...]
    test_accuracy: float | None


def choose_winner(table: SweepTable) -> Winner | None:
    """The best settings of a sweep: those of the first arm of its leaderboard; None where no trial succeeded."""
    rows = build_leaderboard(table)
    best = find_best(table, rows[0].arm) if rows else None
    if best is None:
        return None
    retrained = find_winner(table)
    remarks = [f"{build_headline(table, rows)}. {build_verdict(table, rows) if len(table.arms) > 1 else ''}".strip()]
    if table.state == STATE_RUNNING:
        remarks.append("The sweep is still running: other settings may become the best.")
    if retrained is None:
        remarks.append("These settings were not trained again to the end, so nothing is known of their test accuracy.")
    if table.metrics:
        others = ", ".join(name for name, _ in table.metrics if name != table.goal_metric)
        remarks.append(f"They are the best by {table.goal_metric} alone; the sweep also looked at {others}.")
    again = table.retrainings(best)
    return Winner(retrained or best, best, again, (*remarks, *table.notices), rows[0].test_accuracy)
