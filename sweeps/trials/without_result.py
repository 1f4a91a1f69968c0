"""Why a sweep has no result: no trial of it succeeded. Pure."""

from __future__ import annotations

from collections import Counter

from sweeps.trials.ledger import Ledger, TrialEntry
from tracking.names import TrialState


def tell_without_result(ledger: Ledger, sweep_id: str) -> str:
    """One sentence on how all trials ended, and what to do; "" where one succeeded.

    Args:
        ledger: The trials of a sweep that has ended.
        sweep_id: The sweep, for the commands that are named.
    """
    if ledger.num_succeeded():
        return ""
    trials = list(ledger.select())
    if not trials:
        return "no trial was started, so there is no result; the budget allows none"
    counts = Counter(entry.state for entry in trials if entry.state is not None)
    words = ", ".join(f"{number} {str(state).replace('_', ' ')}" for state, number in counts.most_common())
    return f"no trial succeeded ({words}), so there is no result; {_find_remedy(trials, counts, sweep_id)}"


def _find_remedy(trials: list[TrialEntry], counts: Counter[TrialState], sweep_id: str) -> str:
    failed = next((entry for entry in trials if entry.state is TrialState.FAILED), None)
    if failed is not None and counts[TrialState.FAILED] >= counts[TrialState.DIVERGED]:
        return f"see why with: sweeps logs {sweep_id} {failed.trial_id}"
    if counts[TrialState.DIVERGED]:
        rates = [rate for entry in trials if isinstance(rate := entry.parameters.get("lr"), int | float)]
        tried = f" than {min(rates):.3g}, the least that was tried" if rates else ""
        return f"search lower learning rates{tried}, or set gradient_clip_norm"
    return f"go on with: sweeps resume {sweep_id}"
