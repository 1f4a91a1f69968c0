"""What holds for every row of the table of losses."""

import pickle

import numpy as np
import pytest
import torch

from trainer.config import ConfigError, build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun
from trainer.tables.losses import LOSSES

SETTINGS = {
    "cross_entropy": {"label_smoothing": 0.2},
    "mse": {},
    "multi_margin": {"margin": 0.7},
    "focal": {"focal_gamma": 1.3},
}
FOR_TRAINING_ONLY = {"label_smoothing"}


def transcribe_cross_entropy(logits, labels, settings):
    """Szegedy et al. 2016, section 7, in float64."""
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    smoothing = settings.get("label_smoothing", 0.0)
    targets = np.eye(logits.shape[1])[labels] * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * log_p).sum(1).mean()


def transcribe_mse(logits, labels, settings):
    return ((logits - np.eye(logits.shape[1])[labels]) ** 2).mean()


def transcribe_multi_margin(logits, labels, settings):
    """The formula of torch.nn.MultiMarginLoss with p 1, in float64."""
    right = logits[np.arange(len(labels)), labels][:, None]
    hinges = np.maximum(0, settings["margin"] - right + logits) * (1 - np.eye(logits.shape[1])[labels])
    return (hinges.sum(1) / logits.shape[1]).mean()


def transcribe_focal(logits, labels, settings):
    """Lin et al. 2017, equation 4, in float64."""
    p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[np.arange(len(labels)), labels]
    return (-((1 - p) ** settings["focal_gamma"]) * np.log(p)).mean()


TRANSCRIPTIONS = {
    "cross_entropy": transcribe_cross_entropy,
    "mse": transcribe_mse,
    "multi_margin": transcribe_multi_margin,
    "focal": transcribe_focal,
}


def draw_batch():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(20, 7, generator=generator) * 3, torch.randint(7, (20,), generator=generator)


@pytest.mark.parametrize("row", LOSSES.values(), ids=LOSSES)
class TestLosses:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert "https://" in row.source
        assert set(SETTINGS[row.name]) == {each.name for each in row.settings}

    def test_pickles(self, row):
        assert pickle.loads(pickle.dumps(row)) == row
        loss = row.build(SETTINGS[row.name], True)
        assert pickle.loads(pickle.dumps(loss))(*draw_batch()) == loss(*draw_batch())

    def test_equals_its_equation(self, row):
        logits, labels = draw_batch()
        expected = TRANSCRIPTIONS[row.name](logits.double().numpy(), labels.numpy(), SETTINGS[row.name])
        assert row.build(SETTINGS[row.name], True)(logits, labels).item() == pytest.approx(expected, rel=1e-6)

    def test_evaluation_goes_without_what_is_for_training(self, row):
        logits, labels = draw_batch()
        settings = {name: value for name, value in SETTINGS[row.name].items() if name not in FOR_TRAINING_ONLY}
        expected = TRANSCRIPTIONS[row.name](logits.double().numpy(), labels.numpy(), settings)
        assert row.build(SETTINGS[row.name], False)(logits, labels).item() == pytest.approx(expected, rel=1e-6)

    def test_stays_finite_for_large_logits(self, row):
        logits, labels = draw_batch()
        logits = (logits * 1e4).requires_grad_()
        loss = row.build(SETTINGS[row.name], True)(logits, labels)
        loss.backward()
        assert loss.isfinite()
        assert logits.grad.isfinite().all()

    def test_same_seed_same_result_and_state_round_trip(self, row):
        data = draw_synthetic(120, 20)
        config = build_trial_config(
            {"loss": row.name, **SETTINGS[row.name], "dataset": "synthetic", "width": 0.25, "depth": 1}
            | {"batch_size": 50, "epochs": 2}
        )
        straight, before, after = (TrainingRun(config, data, device="cpu", num_threads=1) for _ in range(3))
        assert straight.run_epoch().train_loss == before.run_epoch().train_loss
        after.load_state_dict(before.state_dict())
        assert straight.run_epoch().train_loss == after.run_epoch().train_loss

    def test_refuses_settings_it_does_not_have(self, row):
        own = {each.name for each in row.settings}
        for name in {"reduction", *(each.name for other in LOSSES.values() for each in other.settings)} - own:
            with pytest.raises(ConfigError) as caught:
                build_trial_config({"loss": row.name, name: 0.1})
            assert [fault.parameter for fault in caught.value.faults] == [name]
