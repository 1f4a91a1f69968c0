"""A sweep that has ended goes on as a larger one, and as no other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sweeps.errors import BadUsage
from sweeps.running.extension import check_extension, is_wider
from sweeps.running.same_sweep import list_changes, note_extensions
from sweeps.spec import SweepSpec, load_spec_text

TEXT = """
method: bayes
budget: {trials_per_arm: 4}
compare: optimizer
parameters:
  epochs: 4
  batch_size: {values: [32, 64]}
  width: 0.5
  dropout: {distribution: q_uniform, q: 0.1, min: 0.1, max: 0.3}
  weight_decay: {distribution: normal, mu: 0.1, sigma: 0.01}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-2, max: 1e-1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-3}}
"""
TRIED: Mapping[str, int] = {"sgd": 4, "adam": 4}
MORE = "budget.trials_per_arm=8"
ADAM = "parameters.optimizer.choices.adam"


def load(*overrides: str) -> SweepSpec:
    return load_spec_text(TEXT, "sweep.yaml", overrides)


@pytest.mark.parametrize(
    "override",
    [
        MORE,
        f"{ADAM}.lr.max=1e-2",
        f"{ADAM}.lr.min=1e-6",
        "parameters.batch_size.values=[64, 32, 128]",
        "parameters.width={values: [0.5, 1.0]}",
        "parameters.dropout.max=0.5",
        "budget.hours=3",
    ],
)
def test_a_sweep_may_become_larger(override: str) -> None:
    before, after = load(), load(*dict.fromkeys((MORE, override)))
    if "hours" in override:
        before = load("budget.hours=2")
    check_extension(before, after, "s-1", TRIED)


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        (f"{ADAM}.lr.max=5e-4", "parameters.optimizer.choices.adam.lr: min 0.0001, max 0.001 when it was begun"),
        (f"{ADAM}.lr.distribution=uniform", "parameters.optimizer.choices.adam.lr"),
        ("parameters.batch_size.values=[32, 128]", "parameters.batch_size: values [32, 64] when it was begun"),
        ("parameters.dropout.q=0.05", "parameters.dropout"),
        ("parameters.weight_decay.sigma=0.005", "parameters.weight_decay"),
        ("parameters.width=1.0", "parameters.width: value 0.5 when it was begun, which value 1.0 does not hold"),
        ("parameters.depth={values: [1, 2]}", "parameters.depth: was not there when it was begun"),
        ("parameters.optimizer.choices.rmsprop={lr: 0.1}", "the arms are sgd, adam; others cannot catch up"),
        ("confirm.seeds=3", "confirm.seeds: 1 when it was begun, 3 now"),
        ("metric={name: val_loss}", "metric.name"),
        ("parameters.epochs=8", "parameters.epochs: value 4"),
        ("seed=1", "seed: 0 when it was begun, 1 now"),
        ("budget.trials_per_arm=3", "budget.trials_per_arm: 4 when it was begun, 3 now"),
    ],
)
def test_and_nothing_else_may_change(override: str, shown: str) -> None:
    overrides = [override] if override.startswith("budget") else [MORE, override]
    with pytest.raises(BadUsage, match="s-1: it cannot be extended so: only budgets may be raised") as caught:
        check_extension(load(), load(*overrides), "s-1", TRIED)
    assert shown in str(caught.value)


def test_nothing_that_changes_is_said_with_an_example_that_works() -> None:
    with pytest.raises(BadUsage, match=r"nothing would change; .*--set budget\.trials_per_arm=8") as caught:
        check_extension(load(), load(), "s-1", TRIED)
    check_extension(load(), load(str(caught.value).rsplit("--set ", 1)[1]), "s-1", TRIED)


def test_a_wider_range_without_trials_to_draw_from_it_is_said() -> None:
    wider = f"{ADAM}.lr.max=1"
    with pytest.raises(BadUsage, match=r"all trials of its budget have been tried.*budget\.trials_per_arm=8") as caught:
        check_extension(load(), load(wider), "s-1", TRIED)
    check_extension(load(), load(wider, str(caught.value).rsplit("--set ", 1)[1]), "s-1", TRIED)
    check_extension(load(), load(wider), "s-1", {"sgd": 4, "adam": 3})  # it was cut off


def test_a_population_stays_as_large_as_it_began() -> None:
    pbt = ("method=random", "early_terminate={type: pbt}", "confirm={top: 0}", "parameters.weight_decay=0.1")
    with pytest.raises(BadUsage, match="a population is as large as it began"):
        check_extension(load(*pbt), load(*pbt, MORE), "s-1", TRIED)


def test_every_parameter_is_as_wide_as_itself() -> None:
    assert all(is_wider(parameter, parameter) for parameter in load().parameters.values())


def test_how_it_was_extended_is_noted() -> None:
    changes = list_changes(load(), load(MORE, f"{ADAM}.lr.max=1"))
    assert changes == [
        "budget.trials_per_arm: 4, now 8",
        "parameters.optimizer.choices.adam.lr.max: 0.001, now 1.0",
    ]
    drivers = [{"started": "Monday"}, {"started": "Tuesday", "extended": changes}, {"started": "Friday"}]
    assert note_extensions(drivers) == (
        "Extended on Tuesday, when its result could be seen: budget.trials_per_arm: 4, now 8; "
        "parameters.optimizer.choices.adam.lr.max: 0.001, now 1.0.",
    )
