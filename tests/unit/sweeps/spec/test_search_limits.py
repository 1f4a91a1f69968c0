"""The manifest says what a search was limited to, by the keys that `--set` takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sweeps.spec import dump_spec, load_spec_text
from sweeps.spec.search_limits import describe_search

TEXT = """
method: METHOD
budget: {trials_per_arm: 4, hours: 2, plateau: 3}
compare: optimizer
parameters:
  epochs: 4
  batch_size: {values: [32, 64]}
  depth: {min: 1, max: 2}
  dropout: {min: 0.0, max: 0.5}
  weight_decay: {distribution: log_uniform, min: -9, max: -2}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-2, max: 1}}
      adam: {lr: 0.001, one_minus_beta1: {distribution: log_uniform_values, min: 1e-3, max: 0.5}}
      "torch.optim:Adagrad": {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}}
"""


def describe(*overrides: str, method: str = "bayes") -> dict[str, Any]:
    found = describe_search(load_spec_text(TEXT.replace("METHOD", method), "sweep.yaml", overrides))
    assert json.loads(json.dumps(found)) == found
    return found


def test_limits_of_the_budget_stand_by_their_keys() -> None:
    found = describe("budget.target=0.9", "budget.epochs_per_arm=90")
    limits = {"trials_per_arm": 4, "epochs_per_arm": 90, "hours": 2.0, "plateau": 3}
    assert found["budget"] == {f"budget.{name}": limit for name, limit in limits.items()}
    assert (found["target"], found["exhaustive"]) == (0.9, False)
    assert describe("budget={}", "run_cap=12")["budget"] == {"run_cap": 12}
    grid = ["parameters.dropout=0.1", "parameters.weight_decay=0", "parameters.optimizer={values: [sgd, adam]}"]
    assert describe("budget={}", *grid, method="grid")["exhaustive"]


def test_ranges_say_their_ends_how_they_are_searched_and_what_they_can_be() -> None:
    ranges = {each["key"]: each for each in describe()["ranges"]}
    depth, decay = ranges["parameters.depth"], ranges["parameters.weight_decay"]
    assert (depth["min"], depth["max"], depth["step"], depth["log"], depth["least"]) == (1, 2, 1, False, 1)
    assert (decay["min"], decay["max"], decay["exponents"], decay["log"], decay["least"]) == (-9, -2, True, True, 0)
    beta = ranges["parameters.optimizer.choices.adam.one_minus_beta1"]
    assert (beta["name"], beta["where"], beta["most"]) == ("one_minus_beta1", {"optimizer": "adam"}, 1)
    assert "parameters.batch_size" not in ranges, "of two values each is an end"
    (sizes,) = (each for each in describe("parameters.batch_size={values: [64, 32, 128]}")["ranges"] if each["values"])
    assert (sizes["key"], sizes["min"], sizes["max"]) == ("parameters.batch_size", 32, 128)
    assert (sizes["values"], sizes["log"], sizes["step"]) == ([64, 32, 128], True, 1)


@pytest.mark.parametrize("index", range(6))
def test_each_key_is_taken_by_the_reader(index: int) -> None:
    spec = load_spec_text(TEXT.replace("METHOD", "bayes"), "sweep.yaml")
    limits = describe_search(spec)["ranges"]
    assert len(limits) == 6
    end = limits[index]["max"]
    wider = end + 0.1 if isinstance(end, float) else end + 1
    changed = load_spec_text(dump_spec(spec), "resolved.yaml", [f"{limits[index]['key']}.max={wider}"])
    assert describe_search(changed)["ranges"][index] == {**limits[index], "max": wider}


def test_a_population_cannot_grow() -> None:
    fixed = ["budget={trials_per_arm: 4}", "confirm.top=0", "parameters.depth=1", "parameters.batch_size=32"]
    assert not describe(*fixed, "early_terminate={type: pbt, interval: 1}", method="random")["can_grow"]
    assert describe(*fixed, method="random")["can_grow"]
