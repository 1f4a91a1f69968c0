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


COMPARED = "compare: optimizer\nparameters: {lr: {min: 0.1, max: 0.2}, optimizer: {values: [sgd, adam]}}\n"


@pytest.mark.parametrize(
    ("text", "beginnings"),
    [
        ("method: random\nbudget: {trials_per_arm: 4}\nconfirm: {seeds: 6}\n", []),
        ("method: random\nbudget: {trials_per_arm: 4}\nconfirm: {seeds: 2}\n", ["confirm: 2 seeds cannot show"]),
        ("method: random\nbudget: {trials_per_arm: 3}\nconfirm: {seeds: 6}\n", ["budget: 3 trials of each arm can"]),
        ("method: random\nbudget: {trials_per_arm: 1}\nconfirm: {seeds: 6}\n", ["budget: 1 trial of each arm can"]),
        ("method: random\nbudget: {trials_per_arm: 3}\nconfirm: {seeds: 1}\n", []),  # asks for no verdict
        ("method: random\nbudget: {trials_per_arm: 3}\nconfirm: {top: 0, seeds: 6}\n", []),
        ("method: random\nbudget: {hours: 1}\nconfirm: {seeds: 6}\n", []),
    ],
)
def test_a_winner_that_cannot_be_named_is_said_before(text: str, beginnings: list[str]) -> None:
    notes = list_notes(load_spec_text(text + COMPARED, "x.yaml"))
    assert [note[: len(beginning)] for note, beginning in zip(notes, beginnings, strict=True)] == beginnings


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("grid", "compare: optimizer\nparameters: {lr: {values: [0.1, 0.2]}, optimizer: {values: [sgd, adam]}}\n"),
        ("random", "compare: optimizer\nparameters: {lr: 0.1, optimizer: {values: [sgd, adam]}}\n"),
    ],
)
def test_arms_without_the_luck_of_a_search_need_no_trials(method: str, parameters: str) -> None:
    budget = "" if method == "grid" else "budget: {trials_per_arm: 1}\n"
    text = f"method: {method}\n{budget}confirm: {{seeds: 6}}\n{parameters}"
    assert list_notes(load_spec_text(text, "x.yaml")) == ()


def test_a_range_has_no_repeats() -> None:
    text = "method: random\nbudget: {trials: 100}\nparameters: {lr: {min: 0.1, max: 0.2}}\n"
    assert list_notes(load_spec_text(text, "x.yaml")) == ()
