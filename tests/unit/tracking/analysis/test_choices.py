from __future__ import annotations

import math
from dataclasses import replace

import pytest
from large_table import build_large_table
from plain_table import plain_table, search_trial

from tracking.analysis.choices import measure_choices, tell_reversals
from tracking.analysis.findings import build_cautions
from tracking.analysis.leaderboard import build_leaderboard
from tracking.names import TrialState
from tracking.table import SweepTable, TrialRow


def build(means: dict[str, dict[int, float]], number: int = 6, **changes: object) -> SweepTable:
    """Trials with a value around the mean of their arm and batch size."""
    trials: list[TrialRow] = []
    for arm, row in means.items():
        for size, mean in row.items():
            trials += [
                search_trial(arm, len(trials) + index, mean + 0.002 * math.sin(index + size), lr=0.1, batch_size=size)
                for index in range(number)
            ]
    return replace(plain_table(*trials), searched=("lr", "batch_size", "optimizer"), **changes)  # type: ignore[arg-type]


def test_a_choice_is_measured_over_the_arms_and_a_number_is_none() -> None:
    (choice,) = measure_choices(build({"sgd": {32: 0.7, 128: 0.6}, "adam": {32: 0.8, 128: 0.7}}))
    assert choice.name == "batch_size"
    assert choice.effect is not None
    assert [level.level for level in choice.effect.levels] == [32, 128]
    assert choice.effect.levels[0].effect == pytest.approx(0.05, abs=0.003)
    assert choice.reversals == ()


def test_trials_are_compared_after_the_last_epoch_that_all_of_them_reached() -> None:
    """Those that went on had more epochs: their last value says nothing about the choice."""
    table = build_large_table(24)
    found = {choice.name: choice for choice in measure_choices(table)}
    assert list(found) == ["batch_size", "initializer"]
    assert {choice.epoch for choice in found.values()} == {1}
    flat = [
        replace(trial, history={**trial.history, "val_accuracy": trial.history["val_accuracy"][:1]})
        for trial in table.trials
    ]
    assert measure_choices(replace(table, trials=tuple(flat))) == measure_choices(table)


def test_one_that_diverged_is_the_worst_and_one_that_failed_says_nothing() -> None:
    table = build({"sgd": {32: 0.7, 128: 0.7}})
    states = {"sgd-000": TrialState.FAILED, "sgd-006": TrialState.DIVERGED}
    changed = [
        replace(trial, state=states[trial.trial_id], history={}) if trial.trial_id in states else trial
        for trial in table.trials
    ]
    (choice,) = measure_choices(replace(table, trials=tuple(changed)))
    assert choice.effect is not None
    assert {level.level: level.num_trials for level in choice.effect.levels} == {32: 5, 128: 6}
    assert choice.epoch == 1


def test_arms_that_change_places_are_named_among_the_warnings() -> None:
    table = build({"sgd": {32: 0.7, 128: 0.6}, "adam": {32: 0.65, 128: 0.65}})
    (told,) = tell_reversals(table)
    assert told.startswith(
        "sgd and adam change places with the batch size: with 32, sgd is ahead by 5.0 points; with 128, it is "
    )
    assert told in build_cautions(table, build_leaderboard(table))


def test_arms_that_keep_their_places_are_not() -> None:
    assert list(tell_reversals(build({"sgd": {32: 0.7, 128: 0.6}, "adam": {32: 0.65, 128: 0.5}}))) == []


def test_too_few_trials_have_no_effect() -> None:
    (choice,) = measure_choices(build({"sgd": {32: 0.7, 128: 0.6}}, number=2))
    assert choice.effect is None
