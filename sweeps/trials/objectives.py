"""What a sweep may be judged by, and what of it each trial comes to: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from sweeps.reader.model import Frozen, fault_at
from tracking.ranking import Goal

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class MetricRow:
    """One thing that trials can be judged by: a row of the table.

    Attributes:
        name: As in a sweep file, and in MLflow.
        description: One line.
        source: Where it is measured.
        goal: Whether more or less of it is better.
        high: The greatest value there is; None where there is no end. The least one is 0.
        unit: None for a pure number.
    """

    name: str
    description: str
    source: str
    goal: Direction
    high: float | None = None
    unit: str | None = None

    @property
    def allowed(self) -> str:
        """The values that it can have, in words."""
        return "is never below 0" if self.high is None else f"lies between 0 and {self.high:g}"

    def check_limit(self, limit: float) -> str | None:
        """What is wrong with a value that it is compared with, as a sentence; None where it can tell trials apart.

        A limit of 0 tells none apart: every accuracy reaches it, and no loss does.
        """
        if limit > 0 and (self.high is None or limit <= self.high):
            return None
        if self.high is not None and 2 <= limit <= 100 * self.high:
            return f"found {limit:g}; {self.name} {self.allowed}; did you mean {limit / 100:g}?"
        if limit == 0:
            return f"found 0; {self.name} {self.allowed}, so that this says nothing; write a number above 0"
        ends = "above 0" if self.high is None else f"above 0 and up to {self.high:g}"
        return f"found {limit:g}; {self.name} {self.allowed}; write a number {ends}"


METRICS: Mapping[str, MetricRow] = {
    row.name: row
    for row in (
        MetricRow(
            "val_accuracy",
            "Share of the validation images that are classified as they should be, after an epoch",
            "trainer.loop.training_run",
            "maximize",
            high=1.0,
        ),
        MetricRow(
            "val_loss", "Mean loss over the validation images, after an epoch", "trainer.loop.training_run", "minimize"
        ),
        MetricRow(
            "train_seconds",
            "Time that a trial has trained, over all of its epochs",
            "trainer.loop.training_run",
            "minimize",
            unit="seconds",
        ),
        MetricRow(
            "num_gradient_evaluations",
            "Backward passes of a trial, over all of its epochs",
            "trainer.loop.step",
            "minimize",
        ),
    )
}
GOALS: Mapping[str, Direction] = {row.name: row.goal for row in METRICS.values()}
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
