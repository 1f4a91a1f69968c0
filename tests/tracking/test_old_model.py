"""A model that an earlier version registered still loads and predicts the same."""

import warnings
from pathlib import Path

import pytest
import torch

# A fastcnn of one epoch, saved before files moved to sub-packages.
MODEL = Path(__file__).with_name("recorded-2026-11") / "model"
# What it answered then to `build_images`.
LOGITS = (
    -0.0315279,
    0.0747020,
    0.7842221,
    -0.0133110,
    -0.0585478,
    -0.3193522,
    -0.2841486,
    -0.9265381,
    -0.1563299,
    0.9127817,
)


def build_images() -> torch.Tensor:
    return torch.linspace(0, 255, 3 * 32 * 32).view(1, 3, 32, 32)


def test_a_model_of_november_2026_loads_and_predicts_the_same() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and torch.export's remarks on their own code, as they are imported
        import mlflow.pytorch

        network = mlflow.pytorch.load_model(str(MODEL))

    (logits_K,) = network(build_images()).tolist()

    assert logits_K == pytest.approx(LOGITS, abs=1e-4)
