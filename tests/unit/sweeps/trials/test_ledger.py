import math

import pytest

from sweeps.trials.ledger import MOVES, Ledger, TrialEntry, TrialPhase
from tracking.names import STAGE_SEARCH, TrialState
from tracking.ranking import Goal


def build_ledger(*scores: tuple[str, TrialState | None, int, float]) -> Ledger:
    """A ledger of one arm with trials (id, state, epochs, score)."""
    ledger = Ledger(Goal.MAXIMIZE, ("adam",))
    for number, (trial_id, state, epochs, score) in enumerate(scores):
        ledger.add(TrialEntry(trial_id, "adam", STAGE_SEARCH, number, number, {"lr": number}))
        for epoch in range(1, epochs + 1):
            ledger.record_epoch(trial_id, epoch, score, 1.0)
        if state is not None:
            ledger.end(trial_id, state, "why")
    return ledger


@pytest.mark.parametrize(
    ("score", "than", "goal", "expected"),
    [
        (0.2, 0.1, "maximize", True),
        (0.2, 0.1, "minimize", False),
        (0.1, math.nan, "minimize", True),
        (math.nan, 0.1, "maximize", False),
        (math.inf, 0.1, "maximize", False),
        (math.nan, math.nan, "maximize", False),
        (0.1, 0.1, "maximize", False),
    ],
)
def test_what_beats_what(score: float, than: float, goal: str, expected: bool) -> None:
    assert Goal(goal).beats(score, than) is expected


def test_an_epoch_counts_once() -> None:
    ledger = build_ledger(("a", None, 2, 0.5))
    assert not ledger.record_epoch("a", 2, 0.9, 1.0)
    entry = ledger.entries["a"]
    assert (entry.epoch, entry.best_score, entry.train_seconds) == (2, 0.5, 2.0)


def test_the_longest_epoch_of_all_trials_is_known() -> None:
    ledger = build_ledger(("a", None, 1, 0.5), ("b", None, 0, 0.5))
    for epoch, seconds in ((1, 7.0), (2, math.nan), (3, 2.0), (2, 99.0)):
        ledger.record_epoch("b", epoch, 0.5, seconds)
    assert ledger.longest_epoch == 7.0


def test_a_completed_trial_ranks_above_one_stopped_at_a_rung_with_a_higher_score() -> None:
    ledger = build_ledger(
        ("stopped", TrialState.EARLY_STOPPED, 1, 0.9),
        ("stopped-later", TrialState.EARLY_STOPPED, 3, 0.2),
        ("done", TrialState.COMPLETED, 9, 0.5),
        ("better", TrialState.COMPLETED, 9, 0.6),
        ("patience", TrialState.COMPLETED, 5, 0.7),
    )
    assert [entry.trial_id for entry in ledger.ranking("adam")] == [
        "patience",
        "better",
        "done",
        "stopped-later",
        "stopped",
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_equal_trials_rank_by_their_number_in_whatever_order_they_started(order: tuple[int, ...]) -> None:
    ledger = Ledger(Goal.MAXIMIZE, ("adam",))
    for number in order:  # the order of a resumed sweep's journal
        ledger.add(TrialEntry(f"adam-{number:03d}", "adam", STAGE_SEARCH, number, number, {"lr": number}))
        ledger.record_epoch(f"adam-{number:03d}", 1, 0.5, 1.0)
        ledger.end(f"adam-{number:03d}", TrialState.COMPLETED, "why")
    assert [entry.number for entry in ledger.ranking("adam")] == [0, 1, 2]


def test_diverged_failed_and_running_trials_are_not_ranked() -> None:
    ledger = build_ledger(
        ("diverged", TrialState.DIVERGED, 2, 0.9),
        ("failed", TrialState.FAILED, 2, 0.9),
        ("running", None, 2, 0.9),
        ("nan", TrialState.COMPLETED, 2, math.nan),
        ("done", TrialState.COMPLETED, 2, 0.1),
    )
    assert [entry.trial_id for entry in ledger.ranking("adam")] == ["done"]


def test_failures_in_a_row_are_counted_and_a_success_ends_the_row() -> None:
    ledger = build_ledger(("a", TrialState.FAILED, 0, 0), ("b", TrialState.FAILED, 0, 0))
    assert ledger.consecutive_failures == 2
    ledger.add(TrialEntry("c", "adam", STAGE_SEARCH, 2, 0, {}))
    ledger.end("c", TrialState.DIVERGED, "")
    assert ledger.consecutive_failures == 2
    ledger.add(TrialEntry("d", "adam", STAGE_SEARCH, 3, 0, {}))
    ledger.end("d", TrialState.EARLY_STOPPED, "")
    assert ledger.consecutive_failures == 0


def test_best_is_none_before_any_finite_score() -> None:
    assert build_ledger(("a", None, 1, math.nan)).best() is None


def test_a_trial_that_is_lost_while_it_is_saved_for_a_pause_waits_no_more() -> None:
    ledger = build_ledger(("a", None, 2, 0.5))
    entry = ledger.entries["a"]
    entry.move_to(TrialPhase.RUNNING)
    entry.move_to(TrialPhase.PAUSING)
    ledger.end("a", TrialState.FAILED, "lost")
    assert entry.ended
    assert not entry.active


def test_a_trial_that_has_ended_stays_ended() -> None:
    ledger = build_ledger(("a", TrialState.COMPLETED, 2, 0.5))
    for phase in TrialPhase:
        with pytest.raises(ValueError, match="a: a trial that is ended cannot be"):
            ledger.entries["a"].move_to(phase)


def test_every_phase_can_come_to_its_end_and_only_what_pauses_is_paused() -> None:
    assert set(MOVES) == set(TrialPhase)
    assert all(TrialPhase.ENDED in MOVES[phase] for phase in TrialPhase if phase is not TrialPhase.ENDED)
    assert [phase for phase in TrialPhase if TrialPhase.PAUSED in MOVES[phase]] == [TrialPhase.PAUSING]


def test_what_was_reached_with_weights_that_are_given_up_counts_no_more() -> None:
    ledger = build_ledger(("a", None, 2, 0.5), ("b", None, 2, 0.4), ("c", None, 2, 0.4))
    ledger.give_up(ledger.entries["a"])
    assert math.isnan(ledger.entries["a"].best_score)
    assert ledger.best("adam") is ledger.entries["b"]
    ledger.record_epoch("a", 3, 0.3, 1.0)
    assert (ledger.entries["a"].best_score, ledger.entries["a"].best_epoch) == (0.3, 3)
    assert ledger.best() is ledger.entries["b"]
    ledger.record_epoch("a", 4, 0.6, 1.0)
    assert ledger.best() is ledger.entries["a"]
