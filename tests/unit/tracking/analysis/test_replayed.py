"""Epochs beside their record, on numbers that can be checked by hand."""

from __future__ import annotations

import math

import pytest
from plain_table import search_trial

from tracking.analysis.replayed import (
    Sameness,
    compare_epoch,
    compare_test,
    judge_replay,
    list_reasons,
    tell_replay,
)

TRIAL = search_trial("adam", 0, 0.5, 0.6, 0.7)


def judge(*values: float) -> tuple[Sameness, str]:
    epochs = [compare_epoch(TRIAL, epoch, {"val_accuracy": value}) for epoch, value in enumerate(values, start=1)]
    outcome = judge_replay(epochs)
    return outcome.sameness, tell_replay(outcome, len(epochs))


def test_equal_numbers_are_identical_to_the_bit() -> None:
    assert judge(0.5, 0.6, 0.7) == (Sameness.IDENTICAL, "identical to the bit, in 3 epochs")


def test_one_bit_is_a_difference() -> None:
    sameness, sentence = judge(0.5, math.nextafter(0.6, 1), 0.7)
    assert (sameness, sentence) == (Sameness.CLOSE, "equal within 1.1e-16, with the first difference in epoch 2")


def test_a_far_one_is_told_with_the_first_small_one_before_it() -> None:
    assert judge(0.5, 0.6, 0.69) == (Sameness.DIFFERENT, "differs from epoch 3 on by more than 0.001")
    assert judge(0.5, 0.6 + 1e-9, 0.69)[1] == (
        "differs from epoch 3 on by more than 0.001; the first difference, a smaller one, is in epoch 2"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_now_and_was_then_is_far(value: float) -> None:
    assert judge(value)[0] is Sameness.DIFFERENT


def test_what_was_not_finite_then_and_is_now_is_far() -> None:
    (epoch,) = [compare_epoch(TRIAL, 1, {"val_accuracy": 0.5, "val_loss": 2.0})]
    assert (epoch.largest, epoch.difference) == ("val_loss", math.inf)


def test_what_is_not_finite_both_times_is_the_same() -> None:
    epoch = compare_epoch(TRIAL, 1, {"val_accuracy": 0.5, "train_loss": math.nan})
    assert (epoch.largest, epoch.difference, epoch.values) == ("", 0.0, {"val_accuracy": 0.5})


def test_differences_of_large_numbers_are_relative() -> None:
    trial = search_trial("adam", 0)
    large = type(trial)(**{**vars(trial), "history": {"train_loss": ((1, 1000.0),)}})
    assert compare_epoch(large, 1, {"train_loss": 1000.5}).difference == pytest.approx(5e-4)


def test_times_are_not_compared() -> None:
    epoch = compare_epoch(TRIAL, 1, {"val_accuracy": 0.5, "train_seconds": 99.0})
    assert judge_replay([epoch]).sameness is Sameness.IDENTICAL


def test_what_was_read_from_the_test_split_is_compared() -> None:
    trial = type(TRIAL)(**{**vars(TRIAL), "summary": {"test_accuracy": 0.61, "test_loss": 1.2}})
    assert compare_test(trial, 3, {"test_accuracy": 0.61, "test_loss": 1.2}).difference == 0.0
    assert compare_test(trial, 3, {"test_accuracy": 0.60, "test_loss": 1.2}).largest == "test_accuracy"


HERE = {"python": "3.11.7", "processor": "A", "packages": {"torch": "2.14.1", "ray": "2.60.0"}, "num_cpus": 2}


def test_reasons_are_what_the_manifest_has_otherwise() -> None:
    then = {**HERE, "processor": "B", "packages": {"torch": "2.13.0", "ray": "2.50.0"}}
    assert list_reasons(then, HERE) == ("the processor was B, and is A", "torch was 2.13.0, and is 2.14.1")
    assert list_reasons(HERE, HERE) == ()
    assert list_reasons({}, HERE) == ()


def test_a_sweep_with_several_drivers_has_all_of_them_looked_at() -> None:
    manifest = {**HERE, "drivers": [HERE, {**HERE, "processor": "B"}]}
    assert list_reasons(manifest, HERE) == ("the processor was A and B, and is A",)
