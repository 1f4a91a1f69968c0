from __future__ import annotations

import math

import numpy as np
import pytest

from tracking.ranking import Goal
from tracking.statistics.edges import SearchedRange
from tracking.statistics.importance import Choice, Space, measure_importance

SPACE: Space = {
    "lr": SearchedRange(1e-4, 1.0, is_log=True),
    "width": SearchedRange(1, 8, step=1),
    "batch_size": (32, 64, 128),
}


def draw(number: int = 40) -> list[dict[str, Choice]]:
    luck = np.random.default_rng(0)
    return [
        {
            "lr": float(10 ** luck.uniform(-4, 0)),
            "width": int(luck.integers(1, 9)),
            "batch_size": int(luck.choice([32, 64, 128])),
        }
        for _ in range(number)
    ]


def score_of(configurations: list[dict[str, Choice]]) -> np.ndarray:
    rates = np.array([float(each["lr"] or 0) for each in configurations])
    return 0.8 - 0.1 * (np.log10(rates) + 2) ** 2


def test_the_setting_that_decides_comes_first() -> None:
    configurations = draw()
    first, *others = measure_importance(SPACE, configurations, score_of(configurations))
    assert (first.parameter, first.p_value) == ("lr", 0.01)
    assert first.share > 0.6
    assert {each.parameter for each in others} == {"width", "batch_size"}
    assert all(each.p_value > 0.05 for each in others)
    assert first.share + sum(each.share for each in others) == pytest.approx(1.0)


def test_losses_are_better_when_lower() -> None:
    configurations = draw()
    found = measure_importance(SPACE, configurations, -score_of(configurations), Goal.MINIMIZE)
    assert found == measure_importance(SPACE, configurations, score_of(configurations))


def test_noise_decides_nothing() -> None:
    configurations = draw()
    found = measure_importance(SPACE, configurations, np.random.default_rng(1).normal(size=40))
    assert min(each.p_value for each in found) > 0.05


def test_diverged_trials_are_never_among_the_best() -> None:
    configurations = draw()
    values = score_of(configurations)
    broken = np.where([float(each["lr"] or 0) > 0.1 for each in configurations], math.nan, values)
    assert measure_importance(SPACE, configurations, broken)[0].parameter == "lr"


def test_a_setting_that_does_not_apply_everywhere() -> None:
    configurations = draw()
    for each in configurations[::2]:
        del each["width"]
    found = measure_importance(SPACE, configurations, score_of(configurations))
    assert found[0].parameter == "lr"
    assert len(found) == 3


def test_too_few_trials_say_nothing() -> None:
    configurations = draw(12)
    values = score_of(configurations)
    values[:3] = math.nan
    assert measure_importance(SPACE, configurations, values) == ()
    assert measure_importance(SPACE, [], np.array([])) == ()


def test_a_setting_that_did_not_vary_is_left_out() -> None:
    configurations = [{**each, "width": 4} for each in draw()]
    names = {each.parameter for each in measure_importance(SPACE, configurations, score_of(configurations))}
    assert names == {"lr", "batch_size"}


def test_every_trial_has_a_value() -> None:
    with pytest.raises(ValueError, match="1 configurations have 2 values"):
        measure_importance(SPACE, [{"lr": 0.1}], np.ones(2))
