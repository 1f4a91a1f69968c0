"""`space: default` in a sweep file."""

from pathlib import Path

import pytest

from sweeps.errors import SpecError
from sweeps.space.arms import from_unit_cube, num_dimensions, searched
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import LogUniformValues
from sweeps.space.parameters import Choices, Parameter
from sweeps.spec import SweepSpec, dump_spec, load_spec
from sweeps.spec.arms import build_arms
from trainer.config import build_trial_config
from trainer.tables.optimizers import OPTIMIZERS

SWEEP = """
method: random
budget: {{trials: 2}}
parameters:
  dataset: synthetic
  optimizer:
    choices: {choices}
"""


def load(tmp_path: Path, choices: str) -> SweepSpec:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(choices=choices))
    return load_spec(file)


def settings_of(spec: SweepSpec, name: str) -> dict[str, Parameter]:
    optimizer = spec.parameters["optimizer"]
    assert isinstance(optimizer, Choices)
    return dict(optimizer.choices[name])


def test_every_optimizer_of_the_table_has_one() -> None:
    assert [row.name for row in OPTIMIZERS.values() if not row.default_space] == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_space_gives_legal_configurations_at_both_ends(name: str, tmp_path: Path) -> None:
    (arm,) = build_arms(load(tmp_path, f"{{{name}: {{space: default}}}}"))
    assert set(searched(arm)) == set(OPTIMIZERS[name].default_space or ())
    for end in (0.0, 0.5, 1.0):
        parameters = from_unit_cube(arm, [end] * num_dimensions(arm))  # type: ignore[arg-type]
        config = build_trial_config(parameters)
        assert config.optimizer.name == name
        assert set(searched(arm)) <= set(parameters)


def test_it_stands_for_the_ranges_of_the_table(tmp_path: Path) -> None:
    adam = settings_of(load(tmp_path, "{adam: {space: default}}"), "adam")
    assert adam == {
        "lr": LogUniformValues(min=1e-5, max=1e-1),
        "one_minus_beta1": LogUniformValues(min=1e-2, max=0.5),
        "one_minus_beta2": LogUniformValues(min=1e-3, max=0.2),
    }


def test_what_is_given_beside_it_takes_its_place(tmp_path: Path) -> None:
    spec = load(tmp_path, "{adam: {space: default, lr: 0.001, beta1: {values: [0.8, 0.9]}, epsilon: 1e-7}}")
    assert settings_of(spec, "adam") == {
        "one_minus_beta2": LogUniformValues(min=1e-3, max=0.2),
        "lr": Constant(value=0.001),
        "beta1": Categorical(values=(0.8, 0.9)),
        "epsilon": Constant(value=1e-7),
    }


def test_the_resolved_file_has_it_written_out(tmp_path: Path) -> None:
    spec = load(tmp_path, "{sgd: {space: default}, adam: {lr: 0.1}}")
    (tmp_path / "resolved.yaml").write_text(dump_spec(spec))
    assert "space" not in dump_spec(spec)
    assert load_spec(tmp_path / "resolved.yaml").parameters == spec.parameters


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            "{adam: {space: wide}}",
            "7:29: parameters.optimizer.choices.adam.space: found the text 'wide'; allowed: default",
        ),
        ("{adam: {space: [1]}}", "found a list; allowed: default"),
        (
            '{"torch.optim:Adam": {space: default}}',
            "choices.torch.optim:Adam.space: torch.optim:Adam has no default space; give its settings",
        ),
        ("{agd: {space: default}}", "parameters.optimizer.choices.agd: found 'agd'; allowed: sgd"),
    ],
)
def test_what_it_cannot_be_is_told(choices: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, choices)
    assert message in str(caught.value)
