from dataclasses import replace
from pathlib import Path

import pytest

import sweeps
from sweeps.plan.build import build_plan
from sweeps.plan.plan import Range
from sweeps.plan.words import introduce, summarize
from sweeps.spec import SweepSpec, load_spec

QUICKSTART = Path(sweeps.__file__).parent / "examples" / "quickstart.yaml"


def load(*overrides: str) -> SweepSpec:
    return load_spec(QUICKSTART, overrides)


def test_a_sweep_is_introduced_by_what_it_compares_and_how_much_it_trains() -> None:
    assert introduce(load()) == (
        "quickstart: compares optimizer (sgd, momentum, rmsprop, adam) on cifar10: 6 trials each by bayes of up to "
        "6 epochs, then 4 retrainings"
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("confirm.top=0",), "6 trials each by bayes of up to 6 epochs"),
        (("budget.trials_per_arm=1",), "1 trial each by bayes"),
        (("budget={hours: 1}",), "trials until the budget is used up by bayes"),
    ],
)
def test_what_the_file_leaves_open_or_out_is_not_introduced(overrides: tuple[str, ...], words: str) -> None:
    assert introduce(load(*overrides)).partition("cifar10: ")[2].startswith(words)


def test_a_plan_is_one_line_of_trials_epochs_and_time() -> None:
    plan = build_plan(load(), 2, {}, 0)
    assert summarize(plan).startswith("plan: 24 trials + 4 retrainings, ")
    assert summarize(plan).endswith("2 at a time; the time is known after the first epochs")
    timed = replace(plan, wall_seconds=Range(150.0, 200.0, 260.0))
    assert summarize(timed).endswith("2 at a time; about 3 min 20 s (2 min 30 s to 4 min 20 s)")
