"""Fixtures for sweeps that really run: a results folder of the test's own, and a small sweep file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.home import Home
from sweeps.spec import SweepSpec, load_spec

__all__ = ["SMALL", "build_spec", "home"]

SMALL = """
name: small
method: random
compare: optimizer
budget: {trials_per_arm: 3}
early_terminate: {type: asha, min_iter: 1, eta: 3}
confirm: {top: 1, seeds: 1}
parameters:
  dataset: synthetic
  train_size: 320
  epochs: 4
  batch_size: {values: [32, 64]}
  width: 0.25
  initializer: {values: [glorot_uniform, he_normal]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-2, max: 1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-4, max: 1e-2}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A results folder of the test's own, which the command line would use as well."""
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "results"))
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path / "results")


@pytest.fixture
def build_spec(tmp_path: Path) -> Callable[..., SweepSpec]:
    """Loads the small sweep with overrides, through the reader that users go through."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)

    def build(*overrides: str) -> SweepSpec:
        return load_spec(file, overrides)

    return build
