"""Table of learning-rate schedules: the learning rate of every optimizer step, as plain arithmetic.

Steps count from 0. All schedules but one_cycle can be preceded by a linear warm-up, which ends with the full learning
rate on its last step; the schedule proper then runs over the steps that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from trainer.tables.settings import Row, Setting, Value, get_float, get_int


@dataclass(frozen=True)
class ScheduleContext:
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

    def __init__(self, plan: ScheduleContext, shape: Callable[[ScheduleContext, int], float]) -> None:
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

    def __init__(self, plan: ScheduleContext, *, factor: float, patience: int, min_delta: float, min_lr: float) -> None:
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


BuildSchedule = Callable[[Mapping[str, Value], ScheduleContext], Schedule]


@dataclass(frozen=True)
class ScheduleRow(Row):
    """One schedule.

    Attributes:
        build: (settings, plan) to the schedule of one run.
        has_own_warmup: Whether warm-up is part of the schedule, so that `warmup_epochs` is not for it.
        reads_val_loss: Whether it goes by the validation loss.
    """

    build: BuildSchedule
    has_own_warmup: bool = False
    reads_val_loss: bool = False


def _shape_constant(plan: ScheduleContext, step: int) -> float:
    del plan, step  # the same for all
    return 1.0


def _shape_cosine(final_fraction: float, plan: ScheduleContext, step: int) -> float:
    done = (step - plan.num_warmup_steps) / max(1, plan.num_steps - plan.num_warmup_steps)
    return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * done))


def _shape_step(step_epochs: int, gamma: float, plan: ScheduleContext, step: int) -> float:
    return float(gamma ** (step // plan.steps_per_epoch // step_epochs))


def _shape_multistep(drop_fractions: tuple[float, ...], gamma: float, plan: ScheduleContext, step: int) -> float:
    # Rounded, since 0.55 of 100 steps is a little above 55 in floating point.
    return float(gamma ** sum(step >= round(fraction * plan.num_steps) for fraction in drop_fractions))


def _shape_exponential(gamma: float, plan: ScheduleContext, step: int) -> float:
    return float(gamma ** ((step - plan.num_warmup_steps) // plan.steps_per_epoch))


def _shape_polynomial(power: float, final_fraction: float, plan: ScheduleContext, step: int) -> float:
    done = (step - plan.num_warmup_steps) / max(1, plan.num_steps - plan.num_warmup_steps)
    return float(final_fraction + (1 - final_fraction) * (1 - done) ** power)


def _shape_cosine_restarts(
    first_cycle_epochs: int, cycle_factor: float, final_fraction: float, plan: ScheduleContext, step: int
) -> float:
    cycle_step, num_cycles = step - plan.num_warmup_steps, 0
    cycle_steps = first_cycle_epochs * plan.steps_per_epoch
    while cycle_step >= cycle_steps:
        cycle_step, num_cycles = cycle_step - cycle_steps, num_cycles + 1
        cycle_steps = round(first_cycle_epochs * plan.steps_per_epoch * cycle_factor**num_cycles)
    return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * cycle_step / cycle_steps))


def _shape_trapezoid(decay_fraction: float, final_fraction: float, plan: ScheduleContext, step: int) -> float:
    first = max(plan.num_warmup_steps, plan.num_steps - round(decay_fraction * plan.num_steps))
    return 1.0 if step < first else 1 + (final_fraction - 1) * (step - first) / (plan.num_steps - first)


def _shape_one_cycle(
    warmup_fraction: float, initial_fraction: float, final_fraction: float, plan: ScheduleContext, step: int
) -> float:
    peak_step = warmup_fraction * plan.num_steps
    if step < peak_step:
        return initial_fraction + (1 - initial_fraction) * step / peak_step
    return 1 + (final_fraction - 1) * (step - peak_step) / (plan.num_steps - peak_step)


def _build_constant(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    del settings  # has none
    return Schedule(plan, _shape_constant)


def _build_cosine(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    return Schedule(plan, partial(_shape_cosine, get_float(settings, "final_lr_fraction")))


def _build_step(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    return Schedule(plan, partial(_shape_step, get_int(settings, "step_epochs"), get_float(settings, "gamma")))


def _build_multistep(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    drop_fractions = (get_float(settings, "first_drop_fraction"), get_float(settings, "second_drop_fraction"))
    return Schedule(plan, partial(_shape_multistep, drop_fractions, get_float(settings, "gamma")))


def _build_exponential(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    return Schedule(plan, partial(_shape_exponential, get_float(settings, "gamma")))


def _build_polynomial(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    power, final_fraction = get_float(settings, "power"), get_float(settings, "final_lr_fraction")
    return Schedule(plan, partial(_shape_polynomial, power, final_fraction))


def _build_cosine_restarts(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    first_cycle_epochs = get_int(settings, "first_cycle_epochs")
    cycle_factor = get_float(settings, "cycle_factor")
    final_fraction = get_float(settings, "final_lr_fraction")
    return Schedule(plan, partial(_shape_cosine_restarts, first_cycle_epochs, cycle_factor, final_fraction))


def _build_trapezoid(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    decay_fraction, final_fraction = get_float(settings, "decay_fraction"), get_float(settings, "final_lr_fraction")
    return Schedule(plan, partial(_shape_trapezoid, decay_fraction, final_fraction))


def _build_one_cycle(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
    warmup_fraction = get_float(settings, "warmup_fraction")
    initial_fraction = get_float(settings, "initial_lr_fraction")
    final_fraction = get_float(settings, "final_lr_fraction")
    return Schedule(plan, partial(_shape_one_cycle, warmup_fraction, initial_fraction, final_fraction))


def _build_reduce_on_plateau(settings: Mapping[str, Value], plan: ScheduleContext) -> Schedule:
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
        reads_val_loss=True,
    ),
    ScheduleRow(
        name="multistep",
        description="Is multiplied by gamma twice, each time after a given share of all steps",
        source="He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385, who do so after 32,000 and 48,000 of "
        "64,000 steps; torch.optim.lr_scheduler.MultiStepLR with two milestones; the warm-up is part of all steps",
        settings=(
            _fraction("first_drop_fraction", "Share of all steps before one reduction", 0.5, low_open=True),
            _fraction(
                "second_drop_fraction",
                "Share of all steps before the other reduction; which of the two comes first does not matter",
                0.75,
                low_open=True,
            ),
            _fraction("gamma", "Factor of each reduction", 0.1, low_open=True),
        ),
        build=_build_multistep,
    ),
    ScheduleRow(
        name="exponential",
        description="Is multiplied by gamma after every epoch",
        source="torch.optim.lr_scheduler.ExponentialLR; epochs count from the end of the warm-up",
        settings=(_fraction("gamma", "Factor of each epoch", 0.95, low_open=True),),
        build=_build_exponential,
    ),
    ScheduleRow(
        name="polynomial",
        description="Falls from lr to a fraction of it with a power of the share of steps left, 1 for a straight line",
        source="torch.optim.lr_scheduler.PolynomialLR, with an end that need not be zero",
        settings=(
            Setting("power", "Power of the share of steps that are left", "float", 1.0, low=0, low_open=True),
            _FINAL,
        ),
        build=_build_polynomial,
    ),
    ScheduleRow(
        name="cosine_restarts",
        description="Falls along half a cosine again and again, each time from lr to a fraction of it",
        source="Loshchilov and Hutter 2017, section 3 and equation 5, https://arxiv.org/abs/1608.03983; "
        "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts, step by step; every cycle is a whole number of steps",
        settings=(
            Setting("first_cycle_epochs", "Length of the first cycle", "int", required=True, low=1, unit="epochs"),
            Setting("cycle_factor", "Length of each cycle over that of the one before", "float", 1.0, low=1, high=100),
            _fraction("final_lr_fraction", "Learning rate after the last step of a cycle, as a fraction of lr", 0.0),
        ),
        build=_build_cosine_restarts,
    ),
    ScheduleRow(
        name="trapezoid",
        description="Stays at lr, then falls in a straight line to a fraction of it over the last share of all steps",
        source="Hägele et al. 2024, section 3, https://arxiv.org/abs/2405.18392, with their linear cooldown, which "
        "begins no earlier than the warm-up ends",
        settings=(
            _fraction("decay_fraction", "Share of all steps in which the learning rate falls", 0.2, low_open=True),
            _FINAL,
        ),
        build=_build_trapezoid,
    ),
)

SCHEDULES: Mapping[str, ScheduleRow] = {row.name: row for row in _ROWS}
