from pathlib import Path

import pytest

from sweeps.driver.prior import find_fitting, load_prior
from sweeps.errors import BadUsage
from sweeps.spec import load_spec
from sweeps.spec.arms import build_arms
from tracking.names import TrialState
from tracking.table import SweepTable, TrialRow, Value

SWEEP = """
method: bayes
compare: optimizer
budget: {trials_per_arm: 4}
parameters:
  dataset: synthetic
  epochs: 4
  batch_size: {values: [32, 64]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}, beta1: {min: 0.5, max: 0.99}}
"""
FITTING: dict[str, Value] = {
    "dataset": "synthetic", "epochs": 4, "batch_size": 64, "optimizer": "sgd", "lr": 0.1, "seed": 77
}  # fmt: skip


def build_table(*trials: tuple[dict[str, Value], float, TrialState]) -> SweepTable:
    rows = tuple(
        TrialRow(f"t-{number}", number, "x", "search", state, "", 0, parameters, {"val_accuracy": ((1, score),)})
        for number, (parameters, score, state) in enumerate(trials)
    )
    return SweepTable("old", "old", "p", "completed", "val_accuracy", "maximize", None, ("x",), (), {}, "", rows)


def find(tmp_path: Path, **changes: Value) -> dict[str, int]:
    """How many trials each arm learns from, of one with these changes."""
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP)
    parameters = {name: value for name, value in {**FITTING, **changes}.items() if value != "absent"}
    table = build_table((parameters, 0.5, TrialState.COMPLETED))
    return {arm.name: len(find_fitting(arm, [table])) for arm in build_arms(load_spec(file))}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"sgd": 1, "adam": 0}),
        ({"seed": 5}, {"sgd": 1, "adam": 0}),
        ({"flip": True}, {"sgd": 1, "adam": 0}),  # the default, written out
        ({"optimizer": "adam", "beta1": 0.9}, {"sgd": 0, "adam": 1}),
        ({"optimizer": "adam", "one_minus_beta1": 0.1}, {"sgd": 0, "adam": 0}),  # another way to write the space
        ({"optimizer": "adam"}, {"sgd": 0, "adam": 0}),  # beta1 is not known
        ({"lr": 3.0}, {"sgd": 0, "adam": 0}),
        ({"batch_size": 128}, {"sgd": 0, "adam": 0}),
        ({"epochs": 5}, {"sgd": 0, "adam": 0}),
        ({"flip": False}, {"sgd": 0, "adam": 0}),
        ({"initializer": "glorot_normal"}, {"sgd": 0, "adam": 0}),
        ({"no_such_setting": 3}, {"sgd": 0, "adam": 0}),
        ({"lr": "absent"}, {"sgd": 0, "adam": 0}),
    ],
)
def test_a_trial_fits_where_the_arm_could_have_proposed_it(
    changes: dict[str, Value], expected: dict[str, int], tmp_path: Path
) -> None:
    assert find(tmp_path, **changes) == expected


def test_only_trials_that_ran_to_their_end_count_with_their_own_parameters(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP)
    others = [state for state in TrialState if state is not TrialState.COMPLETED]
    table = build_table((FITTING, 0.7, TrialState.COMPLETED), *((FITTING, 0.5, state) for state in others))
    (trial,) = find_fitting(build_arms(load_spec(file))[0], [table])
    assert trial.score == 0.7
    assert trial.parameters == {name: value for name, value in FITTING.items() if name != "seed"}


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"sgd": 3}', '{"sgd": [{"what": 1}]}'])
def test_what_was_kept_of_earlier_sweeps_and_is_damaged_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    spec = load_spec(tmp_path / "sweep.yaml", ["prior=[s-1]"])
    (tmp_path / "prior.json").write_text(text)
    with pytest.raises(BadUsage, match="it is damaged; put it back, or start a new sweep with the same file"):
        load_prior(spec, build_arms(spec), "sqlite:///absent.db", tmp_path / "prior.json")
