from __future__ import annotations

from dataclasses import replace

import pytest
from large_table import build_large_table

from tracking.analysis.importance import measure_importances
from tracking.names import TrialState


def test_the_learning_rate_decides_in_every_arm_that_has_enough_trials() -> None:
    found = measure_importances(build_large_table(24))

    assert set(found) == {"sgd", "momentum", "rmsprop", "adam"}
    assert {importance.settings[0].parameter for importance in found.values()} == {"lr"}
    assert all(importance.settings[0].p_value <= 0.05 for importance in found.values())
    assert all(sum(each.share for each in importance.settings) == pytest.approx(1) for importance in found.values())


def test_trials_are_compared_at_the_last_epoch_that_all_of_them_reached() -> None:
    table = build_large_table(24)
    longer = tuple(trial for trial in table.trials if trial.num_epochs > 1 or trial.state is TrialState.DIVERGED)

    assert {importance.epoch for importance in measure_importances(table).values()} == {1}
    found = measure_importances(build_large_table(60, trials=replace(table, trials=longer).trials))
    assert all(importance.epoch == 3 for importance in found.values())


def test_ten_trials_with_a_value_are_needed() -> None:
    assert measure_importances(build_large_table(9)) == {}
