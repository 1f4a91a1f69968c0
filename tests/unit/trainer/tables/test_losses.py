import pytest
import torch

from trainer.config import build_trial_config
from trainer.tables.losses import LOSSES


def test_the_table_has_the_losses_of_the_issue():
    assert list(LOSSES) == ["cross_entropy", "mse", "multi_margin", "focal"]


def test_label_smoothing_keeps_a_perfect_answer_from_being_free():
    logits, labels = torch.tensor([[50.0, 0.0]]), torch.tensor([0])
    build = LOSSES["cross_entropy"].build
    assert build({"label_smoothing": 0.0}, True)(logits, labels).item() == pytest.approx(0)
    assert build({"label_smoothing": 0.2}, True)(logits, labels).item() == pytest.approx(5.0)


def test_mse_is_a_mean_over_images_and_classes():
    logits, labels = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    assert LOSSES["mse"].build({}, True)(logits, labels).item() == pytest.approx(0.25)


def test_multi_margin_is_nothing_once_the_right_output_leads_by_the_margin():
    logits, labels = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([0])
    build = LOSSES["multi_margin"].build
    assert build({"margin": 2.0}, True)(logits, labels) == 0
    assert build({"margin": 2.5}, True)(logits, labels).item() == pytest.approx(0.5 / 3)


def test_focal_with_gamma_zero_is_cross_entropy_to_the_bit():
    generator = torch.Generator().manual_seed(1)
    logits = (torch.randn(64, 10, generator=generator) * 20).requires_grad_()
    labels = torch.randint(10, (64,), generator=generator)
    grads = []
    for name, settings in (("focal", {"focal_gamma": 0.0}), ("cross_entropy", {"label_smoothing": 0.0})):
        logits.grad = None
        loss = LOSSES[name].build(settings, True)(logits, labels)
        loss.backward()
        grads.append((loss.detach(), logits.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    torch.testing.assert_close(grads[0][1], grads[1][1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("lead", [1e-3, 1.0, 15.0, 20.0, 1e4, -20.0, -1e4])
def test_focal_has_the_slope_of_its_equation_also_where_the_network_is_sure(gamma, lead):
    logits = torch.tensor([[lead, 0.0]], requires_grad=True)
    loss = LOSSES["focal"].build({"focal_gamma": gamma}, True)(logits, torch.tensor([0]))
    loss.backward()
    exact = torch.tensor([[lead, 0.0]], dtype=torch.float64, requires_grad=True)
    log_p, log_rest = torch.log_softmax(exact, 1)[0]
    expected = -torch.exp(gamma * log_rest) * log_p
    expected.backward()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


def test_focal_counts_a_sure_image_less():
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    losses = [LOSSES["focal"].build({"focal_gamma": gamma}, True)(logits, labels).item() for gamma in (0.0, 1.0, 2.0)]
    rest = 1 / (1 + torch.tensor(2.0).exp().item())
    assert losses[1:] == pytest.approx([losses[0] * rest, losses[0] * rest**2])


def test_settings_have_the_defaults_of_torch_and_of_the_paper():
    assert build_trial_config({"loss": "multi_margin"}).loss.settings == {"margin": 1.0}
    assert build_trial_config({"loss": "focal"}).loss.settings == {"focal_gamma": 2.0}
