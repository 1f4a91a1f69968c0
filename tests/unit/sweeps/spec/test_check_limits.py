"""Numbers that the metric is compared with lie where the metric does."""

import pytest

from sweeps.errors import SpecError
from sweeps.spec import load_spec_text

PARAMETERS = "parameters: {epochs: 10, lr: {values: [0.1, 0.2]}}"


def find_faults(text: str) -> list[str]:
    try:
        load_spec_text(f"method: grid\n{text}\n{PARAMETERS}\n", "f")
    except SpecError as error:
        return [f"{fault.key_path}: {fault.message}" for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("wrong", "key", "message", "mended"),
    [
        (
            "floor: {after: 1, min: 15}",
            "floor.min",
            "found 15; val_accuracy lies between 0 and 1; did you mean 0.15?",
            "floor: {after: 1, min: 0.15}",
        ),
        (
            "budget: {target: 92.5}",
            "budget.target",
            "found 92.5; val_accuracy lies between 0 and 1; did you mean 0.925?",
            "budget: {target: 0.925}",
        ),
        (
            "metric: {name: val_accuracy, target: -0.5}",
            "metric.target",
            "found -0.5; val_accuracy lies between 0 and 1; write a number above 0 and up to 1",
            "metric: {name: val_accuracy, target: 0.5}",
        ),
        (
            "metric: {name: val_loss}\nfloor: {after: 2, max: -1}",
            "floor.max",
            "found -1; val_loss is never below 0; write a number above 0",
            "metric: {name: val_loss}\nfloor: {after: 2, max: 1}",
        ),
        (
            "budget: {target: 0}",
            "budget.target",
            "found 0; val_accuracy lies between 0 and 1, so that this says nothing; write a number above 0",
            "budget: {target: 0.01}",
        ),
        (
            "budget: {target: 1.5}",
            "budget.target",
            "found 1.5; val_accuracy lies between 0 and 1; write a number above 0 and up to 1",
            "budget: {target: 1}",
        ),
    ],
)
def test_a_limit_that_the_metric_never_has_is_refused(wrong: str, key: str, message: str, mended: str) -> None:
    assert find_faults(wrong) == [f"{key}: {message}"]
    assert find_faults(mended) == []


def test_a_loss_has_no_upper_end() -> None:
    assert find_faults("metric: {name: val_loss}\nfloor: {after: 2, max: 15}") == []
