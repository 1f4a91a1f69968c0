"""A sweep without a result says why, and what to do."""

import pytest

from sweeps.trials.ledger import Ledger, TrialEntry, TrialPhase
from sweeps.trials.without_result import tell_without_result
from tracking.names import TrialState
from tracking.ranking import Goal


def end_all(*states: TrialState) -> Ledger:
    ledger = Ledger(Goal.MAXIMIZE, ("adam",))
    for number, state in enumerate(states):
        entry = TrialEntry(f"adam-{number:03}", "adam", "search", number, 0, {"lr": 10.0 + number})
        ledger.add(entry)
        entry.move_to(TrialPhase.RUNNING)
        ledger.end(entry.trial_id, state, "because")
    return ledger


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (
            [TrialState.DIVERGED] * 3,
            "no trial succeeded (3 diverged), so there is no result; "
            "search lower learning rates than 10, the least that was tried, or set gradient_clip_norm",
        ),
        (
            [TrialState.DIVERGED, TrialState.FAILED, TrialState.FAILED],
            "no trial succeeded (2 failed, 1 diverged), so there is no result; see why with: sweeps logs s-1 adam-001",
        ),
        ([], "no trial was started, so there is no result; the budget allows none"),
        ([TrialState.COMPLETED, TrialState.DIVERGED], ""),
    ],
)
def test_how_all_trials_ended_and_what_to_do(states: list[TrialState], sentence: str) -> None:
    assert tell_without_result(end_all(*states), "s-1") == sentence
