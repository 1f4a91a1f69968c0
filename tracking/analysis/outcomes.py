"""What retrainings came to, as the statistics take them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tracking.names import TEST_ACCURACY, SweepState, TrialState
from tracking.table import SweepTable, TrialRow

if TYPE_CHECKING:
    from tracking.statistics.intervals import Interval

WORST = 0.0  # accuracy of a retraining that diverged (protocol, rule 7)


def list_outcomes(trials: Iterable[TrialRow]) -> dict[int, float]:
    """Seed -> test accuracy, 0..1; NaN where the retraining diverged. Those that failed, or still run, are left out."""
    found = {}
    for trial in trials:
        if trial.state is TrialState.DIVERGED:
            found[trial.seed] = math.nan
        elif TEST_ACCURACY in trial.summary:
            found[trial.seed] = trial.summary[TEST_ACCURACY]
    return found


def count_lacking_seeds(table: SweepTable, trials: Iterable[TrialRow]) -> int:
    """How many of the planned retrainings of a configuration are still to end; 0 once the sweep has ended.

    Args:
        table: The sweep.
        trials: The retrainings that there are; one that failed has ended.
    """
    if table.state == SweepState.COMPLETED:
        return 0
    ended = [trial for trial in trials if trial.state not in (None, TrialState.STOPPED)]
    return max(0, table.confirmation.seeds - len(ended))


def show_interval(interval: Interval) -> str:
    """An interval of a difference in accuracy, in points."""
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}".replace("-", "\N{MINUS SIGN}")
