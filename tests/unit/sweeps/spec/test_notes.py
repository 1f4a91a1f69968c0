"""What is said of a sweep before it starts, though it is no fault."""

import pytest

from sweeps.spec.file import load_spec_text
from sweeps.spec.notes import list_notes


@pytest.mark.parametrize(
    ("method", "trials", "notes"),
    [
        ("random", 4, ["all: 4 draws by random from 4 configurations try about 3 different ones; "]),
        ("random", 2, ["all: 2 draws by random from 4 configurations try about 2 different ones; "]),
        ("bayes", 4, []),
        ("bayes", 5, ["all: 5 trials of 4 configurations repeat some; "]),
        ("sobol", 4, []),
    ],
)
def test_draws_that_repeat_are_said_with_the_method_that_does_not(method: str, trials: int, notes: list[str]) -> None:
    space = "{lr: {values: [0.1, 0.2]}, flip: {values: [true, false]}}"
    text = f"method: {method}\nbudget: {{trials: {trials}}}\nparameters: {space}\n"
    found = list_notes(load_spec_text(text, "x.yaml"))
    assert list(found) == [f"{note}method: grid tries each of the 4 once" for note in notes]
    better = text.replace(f"method: {method}", "method: grid").replace(f"budget: {{trials: {trials}}}\n", "")
    assert list_notes(load_spec_text(better, "x.yaml")) == ()


def test_a_range_has_no_repeats() -> None:
    text = "method: random\nbudget: {trials: 100}\nparameters: {lr: {min: 0.1, max: 0.2}}\n"
    assert list_notes(load_spec_text(text, "x.yaml")) == ()
