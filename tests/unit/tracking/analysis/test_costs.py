from __future__ import annotations

from dataclasses import replace

from plain_table import plain_table, search_trial

from tracking.analysis.costs import format_costs, measure_costs, tell_costs
from tracking.names import STAGE_CONFIRM, TrialState
from tracking.table import SweepTable


def two_arms() -> SweepTable:
    """adam: 3 + 1 epochs of 3 of 2 + 1 seconds and a retraining; sgd: 2 epochs until it diverged."""
    first = search_trial("adam", 0, 0.1, 0.2, 0.3, epochs=3, lr=0.1, momentum=0.9)
    first = replace(first, history={**first.history, "num_samples": ((1, 700.0), (2, 700.0), (3, 700.0))})
    return plain_table(
        first,
        search_trial("adam", 1, 0.1, state=TrialState.EARLY_STOPPED, epochs=3, lr=0.2, momentum=0.9),
        replace(first, trial_id="adam-confirm-000", stage=STAGE_CONFIRM),
        search_trial("sgd", 0, 0.1, 0.1, state=TrialState.DIVERGED, epochs=3, lr=3.0),
        searched=("lr", "momentum", "optimizer"),
    )


def test_what_each_arm_took() -> None:
    costs = measure_costs(two_arms())

    adam, sgd = costs["adam"], costs["sgd"]
    assert (adam.effort.num_trials, adam.effort.num_epochs, adam.effort.num_dimensions) == (2, 4, 1)
    assert (adam.num_samples, adam.train_seconds, adam.validation_seconds) == (2100, 8, 4)
    assert (adam.ledger.saved_epochs, adam.ledger.saved_seconds) == (2, 6)
    assert (adam.retrained_epochs, adam.retrained_seconds) == (3, 9)
    assert (sgd.ledger.lost_epochs, sgd.ledger.lost_seconds) == (2, 6)


def test_as_a_table() -> None:
    header, lines = format_costs(two_arms())

    adam = dict(zip(header, lines[0], strict=True))
    assert (adam["arm"], adam["trials"], adam["tuned"]) == ("adam", "2", "1")
    assert (adam["images seen"], adam["training"], adam["saved"], adam["retraining"]) == ("2.1 k", "8 s", "6 s", "9 s")


def test_unequal_search_is_told_with_what_was_saved_and_lost() -> None:
    told = tell_costs(two_arms())

    assert "not searched alike: adam had 2 trials, sgd 1; adam had 4 epochs, sgd 2." in told
    assert "saved 25 % of the epochs" in told  # 2 of 6 + 2
    assert "33 % of those trained" in told  # 2 of 6


def test_an_equal_search_without_losses_needs_no_words() -> None:
    assert tell_costs(plain_table(search_trial("adam", 0, 0.1), search_trial("sgd", 0, 0.1))) == ""
