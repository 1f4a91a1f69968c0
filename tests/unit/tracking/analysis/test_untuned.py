from __future__ import annotations

from dataclasses import replace

import pytest
from plain_table import plain_table, retraining, search_trial

from tracking.analysis.untuned import compare_untuned, tell_untuned
from tracking.names import STAGE_DEFAULT
from tracking.table import Confirmation, SweepTable, TrialRow


def build(num_seeds: int, *, tuned: float, untuned: float, state: str = "completed") -> SweepTable:
    """One arm with its tuned settings and its defaults, each with the same seeds; six are planned."""
    best = search_trial("adam", 0, 0.5, lr=0.1)
    noise = (0.001, -0.002, 0.002, -0.001, 0.0005, -0.0005)
    retrained = [retraining(best, seed, 0.5, tuned + noise[seed]) for seed in range(num_seeds)]
    defaults = [_to_default(retraining(best, seed, 0.5, untuned - noise[seed])) for seed in range(num_seeds)]
    return plain_table(best, *retrained, *defaults, state=state, confirmation=Confirmation(seeds=6))


def _to_default(trial: TrialRow) -> TrialRow:
    return replace(trial, trial_id=f"adam-default-{trial.number:03d}", stage=STAGE_DEFAULT, parameters={})


def test_defaults_that_are_better_are_told_with_what_they_reach() -> None:
    (told,) = tell_untuned(build(6, tuned=0.6, untuned=0.62))

    assert told.startswith(
        "adam: its tuned settings do not beat its untuned defaults, which reach 62.00 % (−2.00 points"
    )


def test_tuning_that_was_worth_it_needs_no_words() -> None:
    assert tell_untuned(build(6, tuned=0.62, untuned=0.6)) == ()


@pytest.mark.parametrize(("state", "is_judged"), [("running", False), ("interrupted", False), ("completed", True)])
def test_a_sweep_that_goes_on_is_not_judged_before_all_its_seeds_are_in(state: str, is_judged: bool) -> None:
    table = build(5, tuned=0.6, untuned=0.62, state=state)

    assert bool(tell_untuned(table)) is is_judged
    assert (compare_untuned(table)["adam"].pair is not None) is is_judged
    assert compare_untuned(table)["adam"].summary.num_seeds == 5
