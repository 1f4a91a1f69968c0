"""What a training costs in time, memory and disk, found by really training a few steps of it."""

from __future__ import annotations

import io
import math
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from trainer.config import SETTINGS, TrialConfig, Value, build_trial_config, get_row
from trainer.cost import Cost, Footprint
from trainer.data.dataset import VALIDATION_FRACTION, Dataset, split_for_training
from trainer.loop.training_run import TrainingRun
from trainer.tables.models import ModelRow

_STEPS = 2  # of each measurement
_PART = 2_000  # images of each measurement where a batch is all of them
_TEST_IMAGES = 500
_FEW = 8  # images of the only step that is taken where nothing is timed
_STANDING_STILL = 1e-9  # learning rate at which nothing diverges, and a step takes as long
_WITHOUT_END: Mapping[str, Value] = {
    "epochs": 10_000,
    "early_stopping_patience": None,
    "early_stopping_min_delta": 0.0,
    "measure_curvature": False,
}


def measure_cost(
    parameters: Mapping[str, Value], data: Dataset, *, device: str, num_threads: int, seconds: float = 0.7
) -> Cost:
    """Trains two steps again and again, for about so many seconds after a first time that warms up.

    Args:
        parameters: Flat parameters of the trial.
        data: The images.
        device: Where to train.
        num_threads: Threads of the trial.
        seconds: How long to measure; at least one measurement is made.

    Raises:
        ConfigError: The parameters are none, or do not fit the data.
    """
    config = build_trial_config(parameters)
    sizes = _count(config, data)
    start = time.perf_counter()
    TrainingRun(config, data, device=device, num_threads=num_threads)
    setup_seconds = time.perf_counter() - start

    small = _cut(data, sizes.measured)

    def build(**others: Value) -> TrainingRun:
        settings = {**parameters, **_WITHOUT_END, "train_size": sizes.measured, **others}
        return TrainingRun(build_trial_config(settings), small, device=device, num_threads=num_threads)

    run, compile_seconds, times = _time_epochs(build, seconds)
    epochs = [train * sizes.samples + validation * sizes.held_out for train, validation in times]
    if config.compile:  # what other first steps take longer for, a process that runs trial after trial does once
        setup_seconds += compile_seconds
    return Cost(
        epoch_seconds=statistics.median(epochs),
        low_seconds=min(epochs),
        high_seconds=max(epochs),
        setup_seconds=setup_seconds,
        test_seconds=statistics.median(validation for _, validation in times) * len(data.test_labels_N),
        memory_bytes=_measure_memory(run.device),
        checkpoint_bytes=_measure_checkpoint(run),
    )


def _time_epochs(
    build: Callable[..., TrainingRun], seconds: float
) -> tuple[TrainingRun, float, list[tuple[float, float]]]:
    """Trains small epochs after a first one that warms up.

    Returns:
        The training that was timed last, seconds that the first steps took longer than others, and of each small epoch
        the seconds of training and of validation of one image.
    """
    run = build()
    first = run.run_epoch()
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    while not times or time.perf_counter() - started < seconds:
        if run.stop_reason is not None:  # it has diverged; what is built anew is compiled anew
            run = build(lr=_STANDING_STILL)
            run.run_epoch()
            if run.stop_reason is not None:
                run = build(lr=_STANDING_STILL)
        epoch = run.run_epoch()
        times.append((epoch.train_seconds / epoch.num_samples, epoch.validation_seconds / run.num_held_out))
    rate = statistics.median(train for train, _ in times)
    return run, max(0.0, first.train_seconds - rate * first.num_samples), times


def count_weights(parameters: Mapping[str, Value], num_classes: int) -> int:
    """Numbers that the network of a trial is made of.

    Args:
        parameters: Flat parameters of the trial.
        num_classes: Of the images.

    Raises:
        ConfigError: The parameters are none.
    """
    choice = build_trial_config(parameters).model
    with torch.device("meta"):
        network = get_row(ModelRow, "model", choice).build(choice.settings, num_classes)
    return sum(weight.numel() for weight in network.parameters())


def measure_footprint(parameters: Mapping[str, Value], data: Dataset) -> Footprint:
    """Takes one step on a few images on this machine's CPU, which needs less than a second for most networks.

    Args:
        parameters: Flat parameters of the trial.
        data: The images.

    Raises:
        ConfigError: The parameters are none, or do not fit the data.
    """
    quick = {"batch_size": _FEW, "train_size": _FEW, "compile": False, "precision": SETTINGS["precision"].default}
    config = build_trial_config({**parameters, **_WITHOUT_END, **quick, "lr": _STANDING_STILL})
    run = TrainingRun(config, _cut(data, _FEW), device="cpu")
    return Footprint(num_metrics=len(run.run_epoch().metrics()), checkpoint_bytes=_measure_checkpoint(run))


@dataclass(frozen=True)
class _Sizes:
    """How many images an epoch of a trial trains on and is validated on, and how many are trained on to measure."""

    samples: int
    held_out: int
    measured: int


def _count(config: TrialConfig, data: Dataset) -> _Sizes:
    """The sizes of a trial's epoch."""
    is_full = isinstance(config.batch_size, str)  # "full"
    batch_size = 1 if isinstance(config.batch_size, str) else config.batch_size
    split = split_for_training(
        data, train_size=config.train_size, batch_size=batch_size, evaluate_on=config.evaluate_on
    )
    num_train = len(split.train_indices_N)
    num_samples = num_train if is_full else num_train - num_train % batch_size
    return _Sizes(
        samples=num_samples,
        held_out=len(data.test_labels_N if config.evaluate_on == "test" else split.validation_indices_N),
        measured=min(_PART, num_train) if is_full else min(_STEPS * batch_size, num_samples),
    )


def _cut(data: Dataset, num_train: int) -> Dataset:
    """A dataset of which so many images are trained on, and some are held out, drawn from the whole."""
    wanted = math.ceil(num_train / (1 - VALIDATION_FRACTION)) + 10 * len(data.classes)
    labels_N = data.train_labels_N
    chosen_N = np.random.default_rng(0).permutation(len(labels_N))[:wanted]
    # Of a rare class as well there have to be two, one to train on and one to hold out.
    some_N = np.concatenate([np.flatnonzero(labels_N == label)[:2] for label in range(len(data.classes))])
    chosen_N = np.union1d(chosen_N, some_N)
    return replace(
        data,
        train_images_NHWC=data.train_images_NHWC[chosen_N],
        train_labels_N=data.train_labels_N[chosen_N],
        test_images_NHWC=data.test_images_NHWC[:_TEST_IMAGES],
        test_labels_N=data.test_labels_N[:_TEST_IMAGES],
    )


def _measure_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # in kilobytes on Linux


def _measure_checkpoint(run: TrainingRun) -> int:
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    return file.tell() + _count_history(run)


def _count_history(run: TrainingRun) -> int:
    """Bytes by which the optimizer's state will still grow: L-BFGS keeps pairs of steps and gradients, so many."""
    most = run.config.optimizer.settings.get("history_size")
    if not isinstance(most, int):
        return 0
    known = sum(len(state.get("old_dirs") or ()) for state in run.optimizer.state.values())
    weights = sum(weight.numel() * weight.element_size() for weight in run.model.parameters())
    return 2 * max(0, most - known) * weights
