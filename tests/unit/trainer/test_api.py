import math

import numpy as np
import pytest
import torch

from trainer.api import train_model
from trainer.config import ConfigError, build_trial_config
from trainer.data.dataset import DataUnavailable, build_split
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun

TINY = {"width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "epochs": 3, "precision": "fp32"}


@pytest.fixture(scope="module")
def data():
    torch.set_num_threads(1)  # which train_model leaves as it is
    return draw_synthetic(270, 100)


def train_tiny(data, optimizer="adam", **settings):
    return train_model(optimizer, data=data, device="cpu", progress=False, **{**TINY, **settings})


def test_gives_the_history_the_test_numbers_and_every_setting(data):
    trained = train_tiny(data, lr=0.01)
    assert [each.epoch for each in trained.history] == [1, 2, 3]
    assert trained.history[-1].stop_reason == "epochs"
    assert trained.config == build_trial_config({"optimizer": "adam", "lr": 0.01, **TINY})
    assert (trained.config.loss.name, trained.config.crop_padding) == ("cross_entropy", 4)


def test_is_the_training_that_the_loop_would_have_done(data):
    trained = train_tiny(data, "nesterov", lr=0.1, seed=7)
    run = TrainingRun(trained.config, data, device="cpu")
    losses = [run.run_epoch().val_loss for _ in range(3)]
    assert [each.val_loss for each in trained.history] == losses
    assert (trained.test_loss, trained.test_accuracy) == run.evaluate_test()


def test_the_model_has_the_test_accuracy_on_normalised_test_images(data):
    trained = train_tiny(data, "nesterov", lr=0.1)
    images_NHWC = data.train_images_NHWC[build_split(data.train_labels_N).train_indices_N].astype(np.float64)
    mean_C, std_C = images_NHWC.mean((0, 1, 2)), images_NHWC.std((0, 1, 2))
    images_NHWC = ((data.test_images_NHWC - mean_C) / std_C).astype(np.float32)
    with torch.no_grad():
        logits_NK = trained.model(torch.from_numpy(images_NHWC).permute(0, 3, 1, 2))
    assert logits_NK.shape == (100, 10)
    assert (logits_NK.argmax(1).numpy() == data.test_labels_N).mean() == pytest.approx(trained.test_accuracy)


def test_the_default_is_adam(data):
    settings = {"data": data, "device": "cpu", "progress": False, **TINY, "epochs": 1}
    assert train_model(**settings).config.optimizer.name == "adam"


def test_every_wrong_setting_is_named_before_anything_is_trained(data):
    with pytest.raises(ConfigError) as caught:
        train_tiny(data, learning_rate=0.1, momentum=0.9, batch_size=0)
    assert {fault.parameter for fault in caught.value.faults} == {"learning_rate", "momentum", "batch_size"}
    with pytest.raises(ConfigError, match=r"optimizer: found 'adamm'.*did you mean 'adam'"):
        train_tiny(data, "adamm")


def test_settings_that_do_not_fit_the_images_are_named(data):
    with pytest.raises(ConfigError, match="batch_size: found 500; allowed: up to 240"):
        train_tiny(data, batch_size=500)


def test_images_that_cannot_be_had_are_an_error(tmp_path):
    with pytest.raises(DataUnavailable, match="absent"):
        train_model(dataset="imagefolder", data_dir=str(tmp_path / "absent"), progress=False)


def test_a_training_that_diverged_at_once_has_no_test_numbers_and_no_model(data):
    trained = train_tiny(data, "sgd", lr=1e30)
    assert [each.stop_reason for each in trained.history] == ["diverged"]
    assert math.isnan(trained.history[0].val_accuracy)
    assert (trained.test_loss, trained.test_accuracy, trained.model) == (None, None, None)


def test_a_training_that_diverged_later_has_those_of_its_best_epoch(data):
    # One step per epoch; after the first the validation loss is huge, and still finite.
    trained = train_tiny(data, "sgd", lr=100, batch_size=240)
    assert [each.stop_reason for each in trained.history] == [None, "diverged"]
    assert 0 <= trained.test_accuracy <= 1
    assert not trained.model.training


@pytest.mark.parametrize("progress", [True, False])
def test_shows_its_progress_only_when_asked_to(data, capsys, progress):
    train_model("sgd", data=data, device="cpu", progress=progress, **TINY)
    output, errors = capsys.readouterr()
    assert errors == ""
    if progress:
        assert "sgd, validation accuracy" in output
        assert "3/3" in output
    else:
        assert output == ""
