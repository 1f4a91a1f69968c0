"""What a sweep may be judged by, and what of it each trial comes to: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from sweeps.reader.model import Frozen, fault_at
from tracking.ranking import Goal

Direction = Literal["maximize", "minimize"]

GOALS: Mapping[str, Direction] = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "train_seconds": "minimize",
    "num_gradient_evaluations": "minimize",
}
_SUMMED = ("train_seconds", "num_gradient_evaluations")  # over the epochs of a trial; of the others the best counts


class Objective(Frozen):
    """One of several metrics that trials are judged by together."""

    name: Literal["val_accuracy", "val_loss", "train_seconds", "num_gradient_evaluations"] = Field(
        description="The best of a validation metric; the sum of the others over a trial's epochs."
    )
    goal: Direction | None = Field(default=None, description="Follows from the name when left out.")

    @model_validator(mode="after")
    def _check_goal(self) -> Objective:
        if self.goal not in (None, GOALS[self.name]):
            message = f"{self.name} is to be {GOALS[self.name]}d; write `goal: {GOALS[self.name]}`"
            raise fault_at("goal", message, "name")
        return self

    @property
    def direction(self) -> Direction:
        """Whether more or less of it is better."""
        return GOALS[self.name]


def accumulate(values: dict[str, float], metrics: Mapping[str, float]) -> None:
    """Adds an epoch of a trial to what it has come to so far; what is not finite adds nothing."""
    for name, goal in GOALS.items():
        new = metrics.get(name, math.nan)
        if not math.isfinite(new):
            continue
        if name not in values:
            values[name] = new
        elif name in _SUMMED:
            values[name] += new
        else:
            values[name] = Goal(goal).best((values[name], new))
