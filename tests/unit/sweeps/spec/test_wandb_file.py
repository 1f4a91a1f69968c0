"""W&B's sweep files as ours: what is the same stays, what there is not is left out and said."""

from pathlib import Path

import pytest

from sweeps.errors import SpecError
from sweeps.spec.file import load_spec_text
from sweeps.spec.wandb_file import convert_wandb, read_wandb

TUTORIAL = """
program: train.py
method: random
metric: {name: loss, goal: minimize}
command: ["${env}", python, "${program}"]
parameters:
  optimizer: {values: [adam, sgd]}
  fc_layer_size: {values: [128, 256, 512]}
  dropout: {values: [0.3, 0.4, 0.5]}
  epochs: {value: 3}
  learning_rate: {distribution: uniform, min: 0, max: 0.1}
  batch_size: {distribution: q_log_uniform_values, q: 8, min: 32, max: 256}
"""
NESTED = """
method: bayes
metric: {name: Validation/accuracy, goal: maximize}
early_terminate: {type: hyperband, min_iter: 3}
run_cap: 12
parameters:
  train:
    parameters:
      lr: {distribution: log_uniform_values, min: 0.001, max: 0.1}
      scheduler: {values: [CosineAnnealingLR, none]}
      epochs: {value: 9}
  wandb_only: {value: x}
"""


def convert(tmp_path: Path, text: str) -> tuple[str, list[str]]:
    (tmp_path / "wandb.yaml").write_text(text)
    made = convert_wandb(read_wandb(tmp_path / "wandb.yaml"), "wandb.yaml")
    return made.text, made.changes


def test_the_tutorial(tmp_path: Path) -> None:
    text, changes = convert(tmp_path, TUTORIAL)
    spec = load_spec_text(text, "x.yaml")
    assert (spec.method, spec.metric.name, spec.run_cap) == ("random", "val_loss", 20)
    assert set(spec.parameters) == {"optimizer", "dropout", "epochs", "batch_size"}
    said = {change.partition(": ")[0]: change for change in changes}
    assert "trains its own models" in said["program"]
    assert said["parameters.learning_rate"] == "parameters.learning_rate: is called lr here"
    assert "above 0" in said["parameters.lr"]  # whose range begins at 0, which no optimizer takes
    assert "models that have it: mlp" in said["parameters.hidden"]
    assert said.keys() >= {"command", "metric.name", "run_cap"}


def test_nested_parameters_and_names_of_torch(tmp_path: Path) -> None:
    text, changes = convert(tmp_path, NESTED)
    spec = load_spec_text(text, "x.yaml")
    assert spec.run_cap == 12
    assert spec.metric.name == "val_accuracy"
    assert spec.parameters["schedule"].values == ("cosine", "constant")  # type: ignore[union-attr]
    assert "parameters.wandb_only: left out; nothing here has a setting of that name" in changes
    assert spec.early_terminate is not None


def test_what_is_a_sweep_file_already_stays(tmp_path: Path) -> None:
    text, changes = convert(tmp_path, "method: grid\nparameters:\n  lr: {values: [0.1, 0.2]}\n")
    assert changes == []
    assert load_spec_text(text, "x.yaml").parameters["lr"].count == 2


@pytest.mark.parametrize("text", ["method: grid\n", "- 1\n", "parameters: {nothing: {value: 1}}\n", "a: b: c\n", ""])
def test_a_file_of_which_nothing_is_left_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError):
        convert(tmp_path, text)
