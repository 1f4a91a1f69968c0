"""The settings that every trial has, whatever optimizer, model, loss, schedule and initialiser it has."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.settings import Setting

_SETTINGS = (
    Setting(
        "dataset",
        "Pictures to train on: CIFAR-10 itself, a folder of pictures, or drawn shapes that need no download",
        "str",
        "cifar10",
        choices=("cifar10", "imagefolder", "synthetic"),
    ),
    Setting(
        "data_dir",
        "imagefolder: the folder with train/<class>/ and test/<class>/; cifar10: where the download is kept, null for "
        "the cache folder; synthetic: null",
        "str",
        optional=True,
    ),
    Setting(
        "train_size",
        "Training pictures to use, drawn class by class; null for all",
        "int",
        low=1,
        optional=True,
        unit="pictures",
    ),
    Setting(
        "batch_size", "Pictures per step; an incomplete last batch is left out", "int", 128, low=1, unit="pictures"
    ),
    Setting("epochs", "Passes over the training pictures", "int", 10, low=1, unit="epochs"),
    Setting("seed", "Decides initial weights, order of pictures and augmentation", "int", 0, low=0, high=2**32 - 1),
    Setting(
        "precision",
        "Arithmetic of the network: fp32, bf16 (autocast), or auto: bf16 where the hardware has units for it",
        "str",
        "auto",
        choices=("fp32", "bf16", "auto"),
    ),
    Setting(
        "crop_padding",
        "Most that a training picture is shifted each way; 0 for off",
        "int",
        4,
        low=0,
        high=16,
        unit="pixels",
    ),
    Setting("flip", "Whether every other training picture is mirrored left to right", "bool", True),
    Setting(
        "warmup_epochs",
        "Length of the linear warm-up, may be a fraction; 0 for none",
        "float",
        0.0,
        low=0,
        unit="epochs",
    ),
    Setting(
        "early_stopping_patience",
        "Epochs without a better val_accuracy after which training stops; null for never",
        "int",
        low=1,
        optional=True,
        unit="epochs",
    ),
    Setting(
        "early_stopping_min_delta",
        "Gain in val_accuracy that counts as better for early stopping",
        "float",
        0.0,
        low=0,
        high=1,
        high_open=True,
    ),
)

SETTINGS: Mapping[str, Setting] = {each.name: each for each in _SETTINGS}
