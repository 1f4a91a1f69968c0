import pytest
import torch

from trainer.losses import LOSSES


def test_the_table_has_both_losses():
    assert list(LOSSES) == ["cross_entropy", "mse"]


def test_label_smoothing_keeps_a_perfect_answer_from_being_free():
    logits, labels = torch.tensor([[50.0, 0.0]]), torch.tensor([0])
    build = LOSSES["cross_entropy"].build
    assert build({"label_smoothing": 0.0}, True)(logits, labels).item() == pytest.approx(0)
    assert build({"label_smoothing": 0.2}, True)(logits, labels).item() == pytest.approx(5.0)


def test_mse_is_a_mean_over_pictures_and_classes():
    logits, labels = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    assert LOSSES["mse"].build({}, True)(logits, labels).item() == pytest.approx(0.25)
