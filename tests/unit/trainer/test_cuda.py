"""Training on a CUDA device; elsewhere there is nothing to see."""

import warnings
from dataclasses import replace

import pytest
import torch

from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import load_checkpoint, write_checkpoint
from trainer.loop.training_run import TrainingRun
from trainer.tables.optimizers import OPTIMIZERS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "epochs": 2}
SETTINGS = {
    "adam": {"optimizer": "adam"},
    "one cycle, fp32": {"optimizer": "nesterov", "lr": 0.05, "schedule": "one_cycle", "precision": "fp32"},
    "regularised": {
        "optimizer": "adamw",
        "dropout": 0.3,
        "mixup_alpha": 0.2,
        "cutout_size": 8,
        "gradient_clip_norm": 1.0,
        "ema_decay": 0.9,
        "contrast_jitter": 0.5,
    },
    "unfused": {"optimizer": "adamax"},
    "compiled": {"optimizer": "nesterov", "lr": 0.05, "compile": True},
}
CASES = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


@pytest.fixture(scope="module")
def data():
    """900 images to train on, 100 to validate."""
    return draw_synthetic(1000, 100)


def build_run(data, device="cuda", **settings):
    return TrainingRun(build_trial_config({**TINY, **settings}), data, device=device)


def run_to_end(run):
    results = []
    while run.stop_reason is None:
        results.append(run.run_epoch())
    return results


def show(results):
    return [repr(replace(each, train_seconds=0.0, validation_seconds=0.0)) for each in results]


def count_waits(run):
    """How often the CPU waits for the device while the second epoch trains."""
    run.run_epoch()
    run.epoch += 1
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            torch.cuda.set_sync_debug_mode("warn")  # says once that it is a prototype
            run._train_epoch()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(each.message) for each in seen)


@CASES
def test_no_step_of_an_epoch_waits_for_the_device(data, settings):
    assert count_waits(build_run(data, train_size=200, **settings)) == count_waits(
        build_run(data, train_size=800, **settings)
    )


@CASES
def test_repeats_and_resumes_to_the_bit(data, settings, tmp_path):
    run = build_run(data, **settings)
    results = [run.run_epoch()]
    write_checkpoint(run, tmp_path)
    results += run_to_end(run)
    assert show(run_to_end(build_run(data, **settings))) == show(results)
    resumed = build_run(data, **settings)
    load_checkpoint(resumed, tmp_path)
    assert show(run_to_end(resumed)) == show(results[1:])
    assert resumed.evaluate_test() == run.evaluate_test()


def test_images_lie_on_the_device_as_bytes_and_weights_channels_last(data):
    run = build_run(data)
    assert run._images.train.images_NHWC.is_cuda
    assert run._images.train.images_NHWC.dtype is torch.uint8
    assert run.model.features[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert run.precision == ("bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_step_is_that_of_the_cpu(data, name):
    settings = {"optimizer": name, "precision": "fp32", "train_size": 50, "normalization": "group"}
    on_device, on_cpu = (build_run(data, device, **settings).run_epoch() for device in ("cuda", "cpu"))
    assert on_device.train_loss == pytest.approx(on_cpu.train_loss, rel=1e-3)
    if not OPTIMIZERS[name].draws and not OPTIMIZERS[name].re_evaluates:
        assert on_device.val_loss == pytest.approx(on_cpu.val_loss, rel=0.02)
