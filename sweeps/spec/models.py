"""The sweep file as frozen models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sweeps.reader.limits import UNSTORABLE
from sweeps.reader.model import Frozen, fault_at
from sweeps.search.methods import MethodName
from sweeps.space.parameters import Parameter
from sweeps.stopping.rules import EarlyTerminate
from sweeps.trials.confirm import Confirm
from sweeps.trials.objectives import GOALS, Direction, Objective
from trainer.config import Value


class Metric(Frozen):
    """What decides between trials, and in which direction."""

    name: Literal["val_accuracy", "val_loss"] = Field(default="val_accuracy", description="Measured after every epoch.")
    goal: Direction = Field(default="maximize", description="Follows from the name when left out.")
    target: float | None = Field(default=None, description="W&B's word for budget.target.")
    impute: Literal["worst", "best", "latest"] | None = Field(
        default=None,
        description="What counts for the search where a trial diverged or failed: the worst score of the arm so far, "
        "or the trial's own best or latest; null: the trial is left out.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_goal(cls, data: Any) -> Any:
        name = data.get("name", "val_accuracy") if isinstance(data, dict) else None
        return {**data, "goal": GOALS[name]} if isinstance(name, str) and name in GOALS and "goal" not in data else data

    @model_validator(mode="after")
    def _check_goal(self) -> Metric:
        if self.goal != GOALS[self.name]:
            message = f"{self.name} is to be {GOALS[self.name]}d; write `goal: {GOALS[self.name]}`"
            raise fault_at("goal", message, "name")
        return self


class Budget(Frozen):
    """When the sweep ends."""

    trials: int | None = Field(default=None, ge=1, description="Trials of the whole sweep.")
    trials_per_arm: int | None = Field(default=None, ge=1, description="Trials of each arm.")
    epochs_per_arm: int | None = Field(
        default=None, ge=1, description="Epochs that the search trials of an arm may take in all."
    )
    hours: float | None = Field(
        default=None, gt=0, description="Wall time of the search under its drivers; pauses do not count."
    )
    trial_hours: float | None = Field(
        default=None,
        gt=0,
        description="Training time of one search trial. A trial that takes as long for one epoch hangs, and fails.",
    )
    target: float | None = Field(default=None, description="Score of the metric at which the search ends.")
    plateau: int | None = Field(
        default=None,
        ge=1,
        description="The search ends when the last so many trials of every arm brought nothing better.",
    )
    max_consecutive_failures: int = Field(
        default=3, ge=1, description="Failed trials in a row, of all or of one arm, that end the sweep."
    )
    max_failures_fraction: float | None = Field(
        default=None, gt=0, lt=1, description="Share of failed trials above which the sweep ends, from the tenth on."
    )

    @model_validator(mode="after")
    def _check_one_count(self) -> Budget:
        if self.trials is not None and self.trials_per_arm is not None:
            raise fault_at("trials", "excludes trials_per_arm; keep one of the two", "trials_per_arm")
        return self


class Floor(Frozen):
    """What a trial has to reach in time: hopeless ones are stopped, whatever the others do."""

    after: int = Field(ge=1, description="Epoch by which it has to be reached.")
    min: float | None = Field(default=None, description="Least score, of a metric that is maximized.")
    max: float | None = Field(default=None, description="Greatest score, of a metric that is minimized.")

    @model_validator(mode="after")
    def _check_one_end(self) -> Floor:
        if (self.min is None) == (self.max is None):
            message = "excludes max; keep one of the two" if self.max is not None else "missing, or max for val_loss"
            raise fault_at("min", message, "max")
        return self


class Resources(Frozen):
    """What one trial takes."""

    cpu: int = Field(default=1, ge=1, description="CPU cores, and threads, of one trial.")
    gpu: float = Field(default=0.0, ge=0, le=1, description="Share of one GPU; 0.25 lets four trials share it.")


class SweepSpec(Frozen):
    """One sweep, as its file says."""

    name: str = Field(
        default="sweep", min_length=1, max_length=100, description="Begins the id; by default the file's name."
    )
    description: str = Field(default="", description="Free text, shown in MLflow and in the report.")
    project: str = Field(default="cifar10", min_length=1, max_length=200, description="MLflow experiment.")
    method: MethodName = Field(default="bayes", description="How trials are proposed.")
    metric: Metric = Field(default=Metric(), description="What decides between trials.")
    metrics: tuple[Objective, ...] = Field(
        default=(),
        description="Several metrics in the place of one: the search looks for trials that no other beats in all of "
        "them. Early stopping and retraining go by the first.",
    )
    compare: tuple[str, ...] = Field(
        default=(), description="The parameter whose values are the arms; of several, every combination is one."
    )
    constraints: tuple[str, ...] = Field(
        default=(), description="Conditions between parameters that every trial fulfils: `warmup_epochs < epochs`."
    )
    prior: tuple[str, ...] = Field(
        default=(), description="Ids of sweeps whose ended trials the search learns from, where their parameters fit."
    )
    points: tuple[Mapping[str, Value], ...] = Field(
        default=(), description="Configurations that are tried first, or parts of some."
    )
    budget: Budget = Field(default=Budget(), description="When the sweep ends.")
    run_cap: int | None = Field(default=None, ge=1, description="W&B's word for budget.trials.")
    early_terminate: EarlyTerminate | None = Field(
        default=None, description="Stops trials early; null trains all to the end."
    )
    floor: Floor | None = Field(default=None, description="Stops search trials that have not got far enough in time.")
    confirm: Confirm = Field(default=Confirm(), description="Retrains the best, reads the test split.")
    resources: Resources = Field(default=Resources(), description="What one trial takes.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of everything that is drawn in the sweep.")
    fallback: Literal["synthetic"] | None = Field(default=None, description="Images used when CIFAR-10 cannot be had.")
    parameters: Mapping[str, Parameter] = Field(min_length=1, description="What each trial is trained with.")

    @field_validator("compare", "constraints", "prior", mode="before")
    @classmethod
    def _take_one_as_list(cls, value: Any) -> Any:
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value

    @field_validator("name", "project")
    @classmethod
    def _check_printable(cls, text: str) -> str:
        if not text.isprintable() or text != text.strip():
            raise fault_at("", "must be one line of printable text without spaces at its ends")
        return text

    @field_validator("description")
    @classmethod
    def _check_storable(cls, text: str) -> str:
        if found := UNSTORABLE.search(text):
            raise fault_at("", f"the character {found.group()!r} cannot be stored; remove it")
        return text

    @model_validator(mode="after")
    def _check_one_cap(self) -> SweepSpec:
        for key in ("trials", "trials_per_arm"):
            if self.run_cap is not None and getattr(self.budget, key) is not None:
                raise fault_at("run_cap", f"excludes budget.{key}; keep one of the two", "budget")
        return self

    @model_validator(mode="after")
    def _check_metrics(self) -> SweepSpec:
        first = self.metrics[0].name if self.metrics else self.metric.name
        if not first.startswith("val_"):
            message = f"begins with {first}, by which nothing can be stopped or retrained; begin with val_accuracy"
            raise fault_at("metrics", message)
        if self.metric.name != first:
            raise fault_at("metrics", f"begins with {first}, and metric is another", "metric")
        return self

    @model_validator(mode="after")
    def _check_one_target(self) -> SweepSpec:
        if self.metric.target is not None and self.budget.target is not None:
            raise fault_at("metric", "its target excludes budget.target; keep one of the two", "budget")
        return self

    @property
    def target(self) -> float | None:
        """The score at which the search ends, whether written as budget.target or metric.target."""
        return self.metric.target if self.budget.target is None else self.budget.target

    @property
    def slug(self) -> str:
        """The name as it stands in ids and folder names: ASCII letters, digits, dots, hyphens, underscores."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-._") or "sweep"

    @property
    def num_trials(self) -> int | None:
        """Trials of the whole sweep, whether written as budget.trials or run_cap; None when not limited so."""
        return self.budget.trials if self.run_cap is None else self.run_cap
