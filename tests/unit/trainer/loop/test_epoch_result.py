import math
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from tracking.names import EPOCH_METRICS
from trainer.loop.epoch_result import EpochResult, StopReason
from trainer.loop.health import Health


def build_result(**changes):
    values = {
        "epoch": 3,
        "train_loss": 1.5,
        "train_accuracy": 0.4,
        "val_loss": 1.75,
        "val_accuracy": 0.5,
        "lr": 0.1,
        "train_seconds": 2.0,
        "validation_seconds": 0.25,
        "num_samples": 200,
        "num_steps": 4,
        "num_gradient_evaluations": 8,
        "best_val_accuracy": 0.625,
        "best_epoch": 2,
        "health": Health(1.5, {"head": 0.5}, 2.0, 0.01, 0.25, "healthy"),
        "stop_reason": None,
    }
    return EpochResult(**{**values, **changes})


def test_metrics_are_every_number_but_the_epochs_own():
    metrics = build_result().metrics()
    own = {name for name in metrics if not name.startswith("health.")}
    assert own == {field.name for field in fields(EpochResult)} - {"epoch", "health", "stop_reason"}
    assert {name: metrics[name] for name in metrics.keys() - own} == {
        "health.gradient_norm": 1.5,
        "health.gradient_norm.head": 0.5,
        "health.first_to_last_gradient": 2.0,
        "health.update_to_weight": 0.01,
        "health.dead_units": 0.25,
    }
    assert (metrics["train_loss"], metrics["num_steps"], metrics["best_epoch"]) == (1.5, 4, 2)


def test_metrics_are_floats_whether_they_count_or_measure():
    assert {type(value) for value in build_result().metrics().values()} == {float}


def test_metrics_that_are_not_finite_are_passed_on_as_they_are():
    metrics = build_result(val_loss=math.nan, train_loss=math.inf).metrics()
    assert math.isnan(metrics["val_loss"])
    assert metrics["train_loss"] == math.inf


def test_everything_that_is_tracked_of_an_epoch_is_reported():
    assert set(EPOCH_METRICS) <= set(build_result().metrics())


@pytest.mark.parametrize("reason", [None, *get_args(StopReason)])
def test_an_epoch_with_a_reason_to_stop_is_the_last_one(reason):
    assert build_result(stop_reason=reason).done == (reason is not None)


def test_a_result_cannot_be_changed():
    result = build_result()
    with pytest.raises(FrozenInstanceError):
        result.val_accuracy = 1.0
