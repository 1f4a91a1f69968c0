import numpy as np
import pytest
import torch

from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.curvature import Curvature, measure_curvature
from trainer.loop.training_run import TrainingRun


def build_quadratic(eigenvalues, seed=0):
    """A quadratic loss in two weights whose Hessian has these eigenvalues."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((len(eigenvalues), len(eigenvalues))))[0]
    hessian = torch.from_numpy(basis @ np.diag(eigenvalues) @ basis.T)
    weights = [torch.zeros(3, dtype=torch.float64), torch.zeros(len(eigenvalues) - 3, dtype=torch.float64)]
    for weight in weights:
        weight.requires_grad_()

    def loss():
        point = torch.cat(weights)
        return 0.5 * point @ hessian @ point

    return loss, weights


@pytest.mark.parametrize(
    "eigenvalues",
    [[5.0, 4.0, 3.0, 2.0, 1.0], [2.0, 1.0, 0.0, -0.5, -3.0], [-1.0, -2.0, -3.0, -4.0], [1.0] * 6],
    ids=["minimum", "saddle", "maximum", "all the same"],
)
def test_the_ends_of_a_known_spectrum_are_found(eigenvalues):
    found = measure_curvature(*build_quadratic(eigenvalues), seed=1)
    assert (found.largest, found.smallest) == pytest.approx((max(eigenvalues), min(eigenvalues)), abs=1e-6)


def test_the_ends_of_a_wide_spectrum_are_found_to_a_hundredth():
    eigenvalues = [*np.linspace(-0.5, 1.0, 200), 30.0, -8.0]
    found = measure_curvature(*build_quadratic(eigenvalues), seed=1)
    assert (found.largest, found.smallest) == pytest.approx((30.0, -8.0), rel=1e-2)


def test_the_same_seed_gives_the_same_numbers():
    first, second = (measure_curvature(*build_quadratic([3.0, 2.0, 1.0, 0.5]), seed=3) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("curvature", "lr", "kind"),
    [
        (Curvature(30.0, -0.1), 0.01, "flat"),
        (Curvature(300.0, -0.1), 0.01, "sharp"),
        (Curvature(30.0, -8.0), 0.01, "saddle"),
        (Curvature(300.0, -80.0), 0.01, "saddle"),
    ],
)
def test_kind(curvature, lr, kind):
    assert curvature.kind(lr) == kind


def test_a_networks_curvature_agrees_with_its_hessian_and_leaves_it_alone():
    data = draw_synthetic(60, 20)
    settings = {"model": "mlp", "width": 0.01, "depth": 1, "activation": "tanh"}
    settings |= {"dataset": "synthetic", "batch_size": 10, "precision": "fp32", "optimizer": "sgd", "lr": 0.1}
    run = TrainingRun(build_trial_config(settings), data, device="cpu")
    run.run_epoch()
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    found = run.measure_curvature()
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    weights = dict(run.model.named_parameters())
    images, labels = run._images.train.build_batch(run._images.train_indices_N[:250])

    def loss(head):
        logits = torch.func.functional_call(run.model, {**weights, name: head}, (images,))
        return torch.nn.functional.cross_entropy(logits, labels)

    name = list(weights)[-1]  # the Hessian's block of one weight lies within the whole one's spectrum
    block = torch.autograd.functional.hessian(loss, weights[name])
    inner = torch.linalg.eigvalsh(block.reshape(block.shape[0], -1)[:, : block.shape[0]])
    assert found.smallest <= inner[0] + 1e-4
    assert found.largest >= inner[-1] - 1e-4
    assert run.run_epoch().epoch == 2
