"""Fixtures for sweeps that really run: a results folder of the test's own, few images, and a small sweep file."""

from __future__ import annotations

import functools
import getpass
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from stores import empty_store

from sweeps.home import Home
from sweeps.spec import SweepSpec, load_spec
from trainer.data.lock import hold_lock
from trainer.data.synthetic import draw_synthetic

__all__ = ["DECODED", "IMAGES", "SMALL", "build_spec", "draw_images", "empty_store", "home"]

# Shared by all tests, and kept for the next time. `dataset: synthetic` has 2,000 images that validate and 4,000 to
# test on: in a sweep as small as these, nearly all of its training would be evaluation.
_KEPT = Path(tempfile.gettempdir()) / f"sweeps-tests-of-{getpass.getuser()}"
NUM_TRAIN, NUM_TEST = 4000, 200  # of the first, a tenth validates
DECODED = _KEPT / "decoded"  # for SWEEPS_DATA
IMAGES = _KEPT / f"images-{NUM_TRAIN}-{NUM_TEST}"

SMALL = f"""
name: small
method: random
compare: optimizer
budget: {{trials_per_arm: 3}}
early_terminate: {{type: asha, min_iter: 1, eta: 3}}
confirm: {{top: 1, seeds: 1}}
parameters:
  dataset: imagefolder
  data_dir: {IMAGES}
  train_size: 320
  epochs: 4
  batch_size: {{values: [32, 64]}}
  width: 0.25
  initializer: {{values: [glorot_uniform, he_normal]}}
  optimizer:
    choices:
      sgd: {{lr: {{distribution: log_uniform_values, min: 1e-2, max: 1}}}}
      adam: {{lr: {{distribution: log_uniform_values, min: 1e-4, max: 1e-2}}}}
"""


@functools.cache
def draw_images() -> None:
    """Draws the images that small sweeps train on, where they are not there, or not all of them any more."""
    _KEPT.mkdir(mode=0o700, exist_ok=True)
    with hold_lock(_KEPT / "lock"):
        if len(list(IMAGES.glob("*/*/*.png"))) == NUM_TRAIN + NUM_TEST:
            return
        shutil.rmtree(IMAGES, ignore_errors=True)
        data = draw_synthetic(NUM_TRAIN, NUM_TEST)
        for part, images_NHWC, labels_N in (
            ("train", data.train_images_NHWC, data.train_labels_N),
            ("test", data.test_images_NHWC, data.test_labels_N),
        ):
            for name in data.classes:
                (IMAGES / part / name).mkdir(parents=True)
            for number, (image_HWC, label) in enumerate(zip(images_NHWC, labels_N, strict=True)):
                Image.fromarray(image_HWC).save(IMAGES / part / data.classes[label] / f"{number:04}.png")


@pytest.fixture
def home(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A results folder of the test's own, with an empty store, which the command line would use as well."""
    monkeypatch.setenv("SWEEPS_HOME", str(tmp_path / "results"))
    monkeypatch.setenv("SWEEPS_DATA", str(DECODED))
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    found = Home(tmp_path / "results")
    found.path.mkdir()
    shutil.copy(empty_store, found.path)
    return found


@pytest.fixture
def build_spec(tmp_path: Path) -> Callable[..., SweepSpec]:
    """Loads the small sweep with overrides, through the reader that users go through."""
    draw_images()
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)

    def build(*overrides: str) -> SweepSpec:
        return load_spec(file, overrides)

    return build
