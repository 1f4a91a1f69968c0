import io
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from trainer.config import ConfigError, build_trial_config
from trainer.data.load import load_dataset
from trainer.loop.training_run import TrainingRun
from trainer.timing import count_weights, measure_cost, measure_footprint

SMALL = {"dataset": "synthetic", "model": "mlp", "hidden": 16, "depth": 1, "optimizer": "sgd", "lr": 0.01}


@pytest.fixture(scope="module")
def data():
    return load_dataset("synthetic", None)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"batch_size": "full"},
        {"batch_size": 1, "train_size": 50},
        {"lr": 1e30},  # diverges
        {"evaluate_on": "test"},
        {"schedule": "one_cycle", "epochs": 2},
        {"warmup_epochs": 2, "epochs": 3},
        {"early_stopping_patience": 1, "early_stopping_min_delta": 0.1},
        {"optimizer": "lbfgs", "batch_size": "full", "train_size": 100},
    ],
    ids=str,
)
def test_any_training_can_be_measured(data, more):
    cost = measure_cost(SMALL | more, data, device="cpu", num_threads=1, seconds=0.0)
    assert 0 < cost.low_seconds <= cost.epoch_seconds <= cost.high_seconds
    assert cost.setup_seconds > 0
    assert cost.test_seconds >= 0
    assert cost.memory_bytes > 50e6


def test_a_rare_class_is_no_obstacle(data):
    labels_N = data.train_labels_N.copy()
    rare = np.flatnonzero(labels_N == 9)
    labels_N[rare[2:]] = 0  # two are left
    uneven = replace(data, train_labels_N=labels_N)
    assert measure_cost(SMALL, uneven, device="cpu", num_threads=1, seconds=0.0).epoch_seconds > 0


def test_the_checkpoint_is_as_large_as_one(data):
    settings = SMALL | {"optimizer": "adam", "hidden": 256}
    cost = measure_cost(settings, data, device="cpu", num_threads=1, seconds=0.0)
    run = TrainingRun(build_trial_config(settings | {"epochs": 1}), data, device="cpu")
    run.run_epoch()
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    assert cost.checkpoint_bytes == pytest.approx(file.tell(), rel=0.05)


def test_what_does_not_fit_the_images_is_refused(data):
    with pytest.raises(ConfigError, match="batch_size"):
        measure_cost(SMALL | {"batch_size": 10**6}, data, device="cpu", num_threads=1)


def test_compiling_belongs_to_the_setup(data, monkeypatch):
    def compile_slowly(model, device):
        calls = []

        def call(images_BCHW):
            if not calls:
                time.sleep(1.0)
            calls.append(1)
            return model(images_BCHW)

        return call

    monkeypatch.setattr("trainer.loop.step.compile_model", compile_slowly)
    compiled = measure_cost(SMALL | {"compile": True}, data, device="cpu", num_threads=1, seconds=0.3)
    plain = measure_cost(SMALL, data, device="cpu", num_threads=1, seconds=0.3)
    assert compiled.setup_seconds - plain.setup_seconds > 0.8
    assert compiled.low_seconds < 2 * plain.high_seconds


@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adam"},
        {"optimizer": "adam", "ema_decay": 0.9},
        {"optimizer": "lbfgs", "history_size": 4, "batch_size": "full"},
        {"optimizer": "muon"},
        {"model": "fastcnn", "width": 0.25},
    ],
    ids=str,
)
def test_a_step_on_a_few_images_shows_what_a_training_leaves_on_the_disk(data, more):
    own = () if "model" in more else ("hidden", "depth")
    settings = {name: value for name, value in SMALL.items() if name not in ("hidden", "depth") or own} | more
    run = TrainingRun(build_trial_config(settings | {"epochs": 3, "train_size": 200}), data, device="cpu")
    while run.stop_reason is None:
        epoch = run.run_epoch()
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    footprint = measure_footprint(settings | {"compile": True, "train_size": 100, "lr": 1e30}, data)
    assert footprint.checkpoint_bytes == pytest.approx(file.tell(), rel=0.05)
    assert footprint.num_metrics == len(epoch.metrics())
    assert count_weights(settings, 10) == sum(weight.numel() for weight in run.model.parameters())
