"""Table of learning-rate schedules: the learning rate of every optimizer step, as plain arithmetic.

Steps count from 0. All schedules but one_cycle can be preceded by a linear warm-up, which ends with the full learning
rate on its last step; the schedule proper then runs over the steps that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from trainer.settings import Row, Setting, Value, get_float, get_int


@dataclass(frozen=True)
class Plan:
    """What a schedule knows of the run it is for.

    Attributes:
        lr: The optimizer's learning rate, the peak of every schedule.
        num_steps: Optimizer steps of the whole run.
        steps_per_epoch: Optimizer steps of an epoch.
        num_warmup_steps: Steps of linear warm-up at the start, 0 for none.
    """

    lr: float
    num_steps: int
    steps_per_epoch: int
    num_warmup_steps: int


class Schedule:
    """The learning rate of each step: the plan's, times the warm-up's factor, times the shape's factor."""

    def __init__(self, plan: Plan, shape: Callable[[Plan, int], float]) -> None:
        self.plan = plan
        self.shape = shape

    def get_lr(self, step: int) -> float:
        """The learning rate of a step.

        Args:
            step: Number of the step, from 0; from `num_steps` on, the last step's learning rate.
        """
        step = min(step, self.plan.num_steps - 1)
        if step < self.plan.num_warmup_steps:
            return self.plan.lr * (step + 1) / self.plan.num_warmup_steps
        return self.plan.lr * self.shape(self.plan, step)

    def end_epoch(self, val_loss: float) -> None:
        """Takes in the validation loss after an epoch, None of which matters to a schedule fixed beforehand."""

    def state_dict(self) -> dict[str, float]:
        """What has to be kept to go on later with the same learning rates."""
        return {}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Goes on from the state of an equal schedule."""


class PlateauSchedule(Schedule):
    """Multiplies the learning rate by a factor when the validation loss has stopped falling.

    Source: Keras's ReduceLROnPlateau and torch.optim.lr_scheduler.ReduceLROnPlateau with threshold_mode "abs": the
    learning rate falls after the first epoch beyond `patience` epochs without an improvement by more than `min_delta`.
    A validation loss that is not a number is no improvement.
    """

    def __init__(self, plan: Plan, *, factor: float, patience: int, min_delta: float, min_lr: float) -> None:
        super().__init__(plan, _shape_constant)
        self.factor = factor
        self.patience = patience
        self.min_delta = min_delta
        self.min_lr = min_lr
        self.scale = 1.0
        self.best_val_loss = math.inf
        self.num_bad_epochs = 0

    def get_lr(self, step: int) -> float:
        """The learning rate of a step, under the reductions so far."""
        lr = super().get_lr(step)
        return lr if self.scale == 1.0 else min(lr, max(lr * self.scale, self.min_lr))

    def end_epoch(self, val_loss: float) -> None:
        """Takes in the validation loss after an epoch; may reduce the learning rate of all later steps."""
        if val_loss < self.best_val_loss - self.min_delta:
            self.best_val_loss = val_loss
            self.num_bad_epochs = 0
            return
        self.num_bad_epochs += 1
        if self.num_bad_epochs > self.patience:
            self.scale *= self.factor
            self.num_bad_epochs = 0

    def state_dict(self) -> dict[str, float]:
        """Reductions so far, the best validation loss, and the epochs since."""
        return {"scale": self.scale, "best_val_loss": self.best_val_loss, "num_bad_epochs": self.num_bad_epochs}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Goes on from the state of an equal schedule."""
        self.scale = state["scale"]
        self.best_val_loss = state["best_val_loss"]
        self.num_bad_epochs = int(state["num_bad_epochs"])


BuildSchedule = Callable[[Mapping[str, Value], Plan], Schedule]


@dataclass(frozen=True)
class ScheduleRow(Row):
    """One schedule.

    Attributes:
        build: (settings, plan) to the schedule of one run.
        has_own_warmup: Whether warm-up is part of the schedule, so that `warmup_epochs` is not for it.
    """

    build: BuildSchedule
    has_own_warmup: bool = False


def _shape_constant(plan: Plan, step: int) -> float:
    del plan, step  # the same for all
    return 1.0


def _shape_cosine(final_fraction: float, plan: Plan, step: int) -> float:
    done = (step - plan.num_warmup_steps) / max(1, plan.num_steps - plan.num_warmup_steps)
    return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * done))


def _shape_step(step_epochs: int, gamma: float, plan: Plan, step: int) -> float:
    return float(gamma ** (step // plan.steps_per_epoch // step_epochs))


def _shape_one_cycle(
    warmup_fraction: float, initial_fraction: float, final_fraction: float, plan: Plan, step: int
) -> float:
    peak_step = warmup_fraction * plan.num_steps
    if step < peak_step:
        return initial_fraction + (1 - initial_fraction) * step / peak_step
    return 1 + (final_fraction - 1) * (step - peak_step) / (plan.num_steps - peak_step)


def _build_constant(settings: Mapping[str, Value], plan: Plan) -> Schedule:
    del settings  # has none
    return Schedule(plan, _shape_constant)


def _build_cosine(settings: Mapping[str, Value], plan: Plan) -> Schedule:
    return Schedule(plan, partial(_shape_cosine, get_float(settings, "final_lr_fraction")))


def _build_step(settings: Mapping[str, Value], plan: Plan) -> Schedule:
    return Schedule(plan, partial(_shape_step, get_int(settings, "step_epochs"), get_float(settings, "gamma")))


def _build_one_cycle(settings: Mapping[str, Value], plan: Plan) -> Schedule:
    warmup_fraction = get_float(settings, "warmup_fraction")
    initial_fraction = get_float(settings, "initial_lr_fraction")
    final_fraction = get_float(settings, "final_lr_fraction")
    return Schedule(plan, partial(_shape_one_cycle, warmup_fraction, initial_fraction, final_fraction))


def _build_reduce_on_plateau(settings: Mapping[str, Value], plan: Plan) -> Schedule:
    return PlateauSchedule(
        plan,
        factor=get_float(settings, "plateau_factor"),
        patience=get_int(settings, "plateau_patience"),
        min_delta=get_float(settings, "plateau_min_delta"),
        min_lr=get_float(settings, "plateau_min_lr"),
    )


def _fraction(
    name: str, description: str, default: float, *, low_open: bool = False, high_open: bool = False
) -> Setting:
    return Setting(name, description, "float", default, low=0, high=1, low_open=low_open, high_open=high_open)


_FINAL = _fraction("final_lr_fraction", "Learning rate after the last step, as a fraction of lr", 0.0)

_ROWS = (
    ScheduleRow(
        name="constant",
        description="The same learning rate for every step",
        source="torch.optim.lr_scheduler.ConstantLR with factor 1",
        settings=(),
        build=_build_constant,
    ),
    ScheduleRow(
        name="cosine",
        description="Falls along half a cosine from lr to a fraction of it, step by step",
        source="Loshchilov and Hutter 2017, equation 5 without restarts, https://arxiv.org/abs/1608.03983",
        settings=(_FINAL,),
        build=_build_cosine,
    ),
    ScheduleRow(
        name="step",
        description="Is multiplied by gamma every few epochs",
        source="torch.optim.lr_scheduler.StepLR; epochs count from the start of the run, warm-up included",
        settings=(
            Setting("step_epochs", "Epochs between two reductions", "int", required=True, low=1, unit="epochs"),
            _fraction("gamma", "Factor of each reduction", 0.1, low_open=True),
        ),
        build=_build_step,
    ),
    ScheduleRow(
        name="one_cycle",
        description="Rises in a straight line to lr, then falls in one, over the whole run",
        source="Smith and Topin 2018, section 3, https://arxiv.org/abs/1708.07120; momentum stays as it is",
        settings=(
            _fraction("warmup_fraction", "Share of all steps in which the learning rate rises", 0.25, high_open=True),
            _fraction("initial_lr_fraction", "Learning rate of the first step, as a fraction of lr", 0.04),
            _FINAL,
        ),
        build=_build_one_cycle,
        has_own_warmup=True,
    ),
    ScheduleRow(
        name="reduce_on_plateau",
        description="Is multiplied by a factor when val_loss has not fallen for some epochs",
        source="torch.optim.lr_scheduler.ReduceLROnPlateau with an absolute threshold, as in Keras",
        settings=(
            _fraction("plateau_factor", "Factor of each reduction", 0.1, low_open=True, high_open=True),
            Setting(
                "plateau_patience",
                "Epochs without a better val_loss that are let pass before a reduction",
                "int",
                5,
                low=0,
                unit="epochs",
            ),
            Setting("plateau_min_delta", "Fall of val_loss that counts as better", "float", 0.0, low=0),
            Setting("plateau_min_lr", "Learning rate below which no reduction goes", "float", 0.0, low=0),
        ),
        build=_build_reduce_on_plateau,
    ),
)

SCHEDULES: Mapping[str, ScheduleRow] = {row.name: row for row in _ROWS}
