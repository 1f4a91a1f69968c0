import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.health import HealthCheck
from trainer.loop.training_run import TrainingRun

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "precision": "fp32"}


def build_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def step(check, model, lr=0.1):
    """One step of SGD, watched; gradients and weights as they were before it."""
    inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    check.before_step()
    before = [weight.detach().clone() for weight in model.parameters()]
    model.zero_grad()
    model(inputs).square().sum().backward()
    torch.optim.SGD(model.parameters(), lr=lr).step()
    check.after_step()
    return before, [weight.grad for weight in model.parameters()]


def conclude(check, **facts):
    return check.conclude(**{"epoch": 3, "diverged": False, "first_loss": 2.3, "train_loss": 1.0, **facts})


def test_norms_are_those_of_the_step():
    model = build_net()
    check = HealthCheck(model)
    before, gradients = step(check, model)
    health = conclude(check)
    assert health.gradient_norm == pytest.approx(float(torch.cat([each.flatten() for each in gradients]).norm()))
    assert health.layer_gradient_norms == pytest.approx(
        {"0": float(gradients[0].norm()), "2": float(gradients[2].norm())}
    )
    assert health.first_to_last_gradient == pytest.approx(float(gradients[0].norm() / gradients[2].norm()))
    ratios = sorted(float(0.1 * gradients[each].norm() / before[each].norm()) for each in (0, 2))
    assert health.update_to_weight == pytest.approx(ratios[0], rel=1e-4)  # the lower of two is torch's median
    assert health.verdict == "healthy"


def test_dead_units_are_those_that_no_image_turns_on():
    model = build_net()
    with torch.no_grad():
        model[0].weight[:2] = 0
        model[0].bias[:2] = -1
        model[0].bias[2:] = 10
    check = HealthCheck(model)
    step(check, model, lr=1e-9)
    with check.watching(model):
        model(torch.randn(16, 4))
        model(-1e6 * torch.ones(16, 4))  # only the first batch counts
    assert conclude(check).dead_units == pytest.approx(2 / 6)
    assert not model[1]._forward_hooks


def test_a_channel_is_dead_when_it_is_off_at_every_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    check = HealthCheck(model)
    check.before_step()
    model(torch.ones(2, 3, 2, 2)).sum().backward()
    check.after_step()
    with check.watching(model):
        model(torch.ones(2, 3, 2, 2))
    assert conclude(check).dead_units == 0.5


@pytest.mark.parametrize(
    ("scale", "facts", "verdict"),
    [
        (1.0, {}, "healthy"),
        (1.0, {"diverged": True}, "diverged"),
        (1e6, {}, "exploding"),
        (math.nan, {}, "exploding"),
        (1.0, {"train_loss": 2.3}, "stalled"),
        (1.0, {"train_loss": math.nan}, "stalled"),
        (1.0, {"train_loss": 2.3, "epoch": 1}, "healthy"),
    ],
)
def test_verdict(scale, facts, verdict):
    model = build_net()
    check = HealthCheck(model)
    step(check, model)
    check._numbers *= scale
    assert conclude(check, **facts).verdict == verdict


def test_a_deep_plain_network_without_normalisation_vanishes_and_one_with_shortcuts_does_not():
    data = draw_synthetic(120, 20)
    deep = {"dataset": "synthetic", "batch_size": 50, "precision": "fp32", "initializer": "normal", "init_std": 0.02}
    deep |= {"width": 0.25, "depth": 6, "optimizer": "sgd", "lr": 1e-3, "epochs": 1}
    verdicts = {}
    for model in ("plain", "resnet20"):
        settings = {**deep, "model": model}
        verdicts[model] = TrainingRun(build_trial_config(settings), data, device="cpu").run_epoch().health
    assert verdicts["plain"].verdict == "vanishing"
    assert verdicts["resnet20"].verdict != "vanishing"
    assert verdicts["plain"].first_to_last_gradient < 1e-2 * verdicts["resnet20"].first_to_last_gradient


def test_every_epoch_of_a_training_has_its_health_and_nothing_else_changes():
    data = draw_synthetic(200, 20)
    run = TrainingRun(build_trial_config({**TINY, "epochs": 2}), data, device="cpu")
    result = run.run_epoch()
    metrics = result.metrics()
    layers = [name for name in metrics if name.startswith("health.gradient_norm.")]
    assert len(layers) == len(result.health.layer_gradient_norms) > 2
    assert metrics["health.gradient_norm"] == pytest.approx(
        math.hypot(*(float(weight.grad.norm()) for weight in run.model.parameters())), rel=1e-5
    )
    assert all(math.isfinite(value) for value in metrics.values())
    assert replace(result, health=None).epoch == 1


def test_an_epoch_that_was_broken_off_is_diverged():
    data = draw_synthetic(200, 20)
    settings = {**TINY, "optimizer": "sgd", "lr": 1e30}
    result = TrainingRun(build_trial_config(settings), data, device="cpu").run_epoch()
    assert result.health.verdict == "diverged"
    assert result.stop_reason == "diverged"
