"""What holds for every row of the table of losses."""

import pickle

import numpy as np
import pytest
import torch

from trainer.config import ConfigError, build_trial_config
from trainer.loop import TrainingRun
from trainer.losses import LOSSES
from trainer.synthetic import draw_synthetic

SETTINGS = {"cross_entropy": {"label_smoothing": 0.2}, "mse": {}}


def transcribe_cross_entropy(logits, labels, settings):
    """Szegedy et al. 2016, section 7, in float64."""
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    smoothing = settings.get("label_smoothing", 0.0)
    targets = np.eye(logits.shape[1])[labels] * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * log_p).sum(1).mean()


def transcribe_mse(logits, labels, settings):
    return ((logits - np.eye(logits.shape[1])[labels]) ** 2).mean()


TRANSCRIPTIONS = {"cross_entropy": transcribe_cross_entropy, "mse": transcribe_mse}


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
        expected = TRANSCRIPTIONS[row.name](logits.double().numpy(), labels.numpy(), {})
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
        for name in {"label_smoothing", "reduction"} - own:
            with pytest.raises(ConfigError) as caught:
                build_trial_config({"loss": row.name, name: 0.1})
            assert [fault.parameter for fault in caught.value.faults] == [name]
