"""Settings that are legal each for itself and not together."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from trainer.tables.optimizers import OPTIMIZERS
from trainer.tables.schedules import SCHEDULES
from trainer.tables.settings import Fault, Value

if TYPE_CHECKING:
    from trainer.tables.optimizer_row import OptimizerRow
    from trainer.tables.settings import Choice

_DIFFERENTIABLE_ONCE = ("multi_margin",)  # losses whose gradient torch cannot differentiate


def find_contradictions(values: Mapping[str, Value], choices: Mapping[str, Choice]) -> list[Fault]:
    """Faults of settings that are legal each for itself and not together."""
    return [
        *_find_data_faults(values),
        *(_find_choosing(values, choices) if values["evaluate_on"] == "test" else ()),
        *_find_timing_faults(values, choices),
        *_find_optimizer_faults(values, choices),
        *_find_whole_batch_faults(values, choices),
        *_find_curvature_faults(values, choices),
        *_find_shared_names(choices),
    ]


def _find_shared_names(choices: Mapping[str, Choice]) -> Iterator[Fault]:
    """Faults of settings that two of the chosen rows have, one of them the user's own: one value would set both."""
    first: dict[str, str] = {}
    for table, choice in choices.items():
        for name in choice.settings:
            other = first.setdefault(name, table)
            if other != table:
                own, beside = (table, other) if ":" in choice.name else (other, table)
                taken = f"a setting of the {beside} {choices[beside].name} too"
                yield Fault(own, f"found {choices[own].name!r} with an argument {name}, {taken}; rename the argument")


def _find_data_faults(values: Mapping[str, Value]) -> Iterator[Fault]:
    """Faults of where the images come from, how many there are, and how they are shifted."""
    if values["dataset"] == "imagefolder" and values["data_dir"] is None:
        yield Fault(
            "data_dir",
            "missing, but dataset imagefolder needs it; give the folder that has train/<class>/ and test/<class>/",
        )
    if values["dataset"] == "synthetic" and values["data_dir"] is not None:
        yield Fault("data_dir", f"found {values['data_dir']!r}, but dataset synthetic reads no files; remove it")
    train_size, batch_size = cast("int | None", values["train_size"]), values["batch_size"]
    if train_size is not None and isinstance(batch_size, int) and batch_size > train_size:
        yield Fault(
            "batch_size",
            f"found {batch_size}, more than train_size {train_size}; allowed: up to train_size; make it smaller",
        )
    if values["crop_padding_mode"] == "constant" and not values["crop_padding"]:
        yield Fault(
            "crop_padding_mode",
            "found 'constant' with crop_padding 0, under which no image is shifted; remove one of them",
        )


def _find_timing_faults(values: Mapping[str, Value], choices: Mapping[str, Choice]) -> Iterator[Fault]:
    """Faults of early stopping and warm-up."""
    if values["early_stopping_min_delta"] and values["early_stopping_patience"] is None:
        yield Fault(
            "early_stopping_min_delta",
            "found without early_stopping_patience, so nothing would use it; give both or none",
        )
    warmup_epochs, epochs = cast("float", values["warmup_epochs"]), cast("int", values["epochs"])
    schedule = choices.get("schedule")
    row = SCHEDULES.get(schedule.name) if schedule is not None else None
    if warmup_epochs and row is not None and row.has_own_warmup:
        yield Fault(
            "warmup_epochs",
            f"found {warmup_epochs:g}, but {row.name} has its own warm-up; set warmup_fraction instead",
        )
    elif warmup_epochs > epochs:
        yield Fault("warmup_epochs", f"found {warmup_epochs:g}; allowed: up to epochs, {epochs}; make it smaller")


def _find_whole_batch_faults(values: Mapping[str, Value], choices: Mapping[str, Choice]) -> Iterator[Fault]:
    """Faults of `batch_size: full` with what one step per epoch, worked off in parts, cannot do."""
    if values["batch_size"] != "full":
        return
    model = choices.get("model")
    if model is not None and model.settings.get("normalization") == "batch":
        yield Fault(
            "batch_size",
            "found 'full' with batch normalisation, whose statistics hang on the parts in which the batch is "
            "worked off; set normalization to group or none",
        )
    if values["mixup_alpha"]:
        yield Fault("mixup_alpha", "found with batch_size full, which is one step per epoch; set it to 0")


def _find_curvature_faults(values: Mapping[str, Value], choices: Mapping[str, Choice]) -> Iterator[Fault]:
    """Faults of `measure_curvature` with a loss that has no second derivative."""
    loss = choices.get("loss")
    if values["measure_curvature"] and loss is not None and loss.name in _DIFFERENTIABLE_ONCE:
        yield Fault(
            "measure_curvature", f"found with {loss.name}, whose gradient torch cannot differentiate; leave it out"
        )


def _find_choosing(values: Mapping[str, Value], choices: Mapping[str, Choice]) -> Iterator[Fault]:
    """Faults of settings by which the test images would decide something."""
    why = "with evaluate_on test, under which the test images would decide"
    if values["early_stopping_patience"] is not None:
        yield Fault("early_stopping_patience", f"found {why} when training ends; leave it out")
    schedule = choices.get("schedule")
    row = SCHEDULES.get(schedule.name) if schedule is not None else None
    if row is not None and row.reads_val_loss:
        yield Fault("schedule", f"found {row.name!r} {why} the learning rate; choose another")


def _find_optimizer_faults(values: Mapping[str, Value], choices: Mapping[str, Choice]) -> Iterator[Fault]:
    """Faults of an optimizer with what it does not go with."""
    row = OPTIMIZERS.get(choices["optimizer"].name) if "optimizer" in choices else None
    if row is None:  # one of the user's, of which nothing is known
        return
    yield from _find_package_faults(row)
    yield from _find_gradient_faults(row, values, choices)
    yield from _find_schedule_faults(row, values, choices)


def _find_package_faults(row: OptimizerRow) -> Iterator[Fault]:
    """Faults of an optimizer whose package is not installed."""
    if row.package is not None and importlib.util.find_spec(row.package) is None:
        yield Fault(
            "optimizer",
            f"found {row.name!r}, which needs the package {row.package.replace('_', '-')}; "
            "install it: pip install 'sweeps[optimizers]'",
        )


def _find_gradient_faults(
    row: OptimizerRow, values: Mapping[str, Value], choices: Mapping[str, Choice]
) -> Iterator[Fault]:
    """Faults of an optimizer that evaluates a batch again, or differentiates its gradient, with what forbids that."""
    dropout = choices["model"].settings.get("dropout") if "model" in choices else None
    if row.re_evaluates and dropout:
        yield Fault(
            "dropout",
            f"found {dropout:g}, but {row.name} evaluates the same batch again and again, which has to give the same "
            "each time; set it to 0",
        )
    clips = values["gradient_clip_norm"] is not None
    if clips and (row.re_evaluates or row.differentiates_gradient):
        needs = "searches along the gradient" if row.re_evaluates else "differentiates the gradient"
        yield Fault("gradient_clip_norm", f"found with {row.name}, which {needs} as it is; leave it out")
    if row.differentiates_gradient and values["batch_size"] == "full":
        yield Fault(
            "batch_size",
            f"found 'full', but {row.name} differentiates the gradient, for which the whole batch has to be in memory "
            "at once; give a number",
        )
    loss = choices.get("loss")
    if row.differentiates_gradient and loss is not None and loss.name in _DIFFERENTIABLE_ONCE:
        yield Fault(
            "loss",
            f"found {loss.name!r}, whose gradient torch cannot differentiate, but {row.name} does; choose another loss",
        )
    if row.differentiates_gradient and values["compile"]:
        yield Fault(
            "compile",
            f"found true, but {row.name} differentiates the gradient, which compiled steps do not; set it to false",
        )


def _find_schedule_faults(
    row: OptimizerRow, values: Mapping[str, Value], choices: Mapping[str, Choice]
) -> Iterator[Fault]:
    """Faults of an optimizer that finds its own steps or averages with a schedule, a warm-up or another average."""
    if row.switches and values["ema_decay"] is not None:
        yield Fault("ema_decay", f"found with {row.name}, which evaluates an average of its own; leave it out")
    schedule = choices.get("schedule")
    if row.fixes_lr and schedule is not None and schedule.name != "constant":
        yield Fault(
            "schedule", f"found {schedule.name!r}, but {row.name} finds its own steps after the first; use constant"
        )
    if row.fixes_lr and values["warmup_epochs"]:
        yield Fault("warmup_epochs", f"found with {row.name}, which finds its own steps after the first; set it to 0")
    if row.switches and schedule is not None and schedule.name != "constant":
        yield Fault(
            "schedule",
            f"found {schedule.name!r}, but {row.name} takes the place of a schedule; use constant "
            "(warmup_epochs may stay)",
        )
