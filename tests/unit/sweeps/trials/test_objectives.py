import math

import pytest
from pydantic import ValidationError

from sweeps.trials.objectives import GOALS, Objective, accumulate


def test_the_best_of_validation_and_the_sum_of_costs() -> None:
    values: dict[str, float] = {}
    for accuracy, loss, seconds in ((0.1, 2.0, 3.0), (0.3, 1.0, 4.0), (0.2, 1.5, 5.0)):
        accumulate(values, {"val_accuracy": accuracy, "val_loss": loss, "train_seconds": seconds, "lr": 9.0})
    assert values == {"val_accuracy": 0.3, "val_loss": 1.0, "train_seconds": 12.0}


def test_what_is_not_finite_adds_nothing() -> None:
    values: dict[str, float] = {}
    accumulate(values, {"val_loss": math.nan, "train_seconds": 1.0})
    accumulate(values, {"val_loss": math.inf, "train_seconds": math.nan})
    assert values == {"train_seconds": 1.0}


@pytest.mark.parametrize("name", GOALS)
def test_the_goal_follows_from_the_name(name: str) -> None:
    assert Objective(name=name).direction == GOALS[name]  # type: ignore[arg-type]
    other = {"maximize": "minimize", "minimize": "maximize"}[GOALS[name]]
    with pytest.raises(ValidationError, match="is to be"):
        Objective(name=name, goal=other)  # type: ignore[arg-type]
