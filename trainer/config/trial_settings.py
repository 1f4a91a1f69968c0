"""The settings that every trial has, whatever optimizer, model, loss, schedule and initialiser it has."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.tables.settings import Setting

_SETTINGS = (
    Setting(
        "dataset",
        "Images to train on: a set that is downloaded once, a folder of images, or drawn shapes (synthetic)",
        "str",
        "cifar10",
        choices=("cifar10", "cifar100", "svhn", "fashion_mnist", "imagefolder", "synthetic"),
    ),
    Setting(
        "data_dir",
        "imagefolder: the folder with train/<class>/ and test/<class>/; synthetic: null; otherwise where the download "
        "is kept, null for the cache folder",
        "str",
        optional=True,
    ),
    Setting(
        "train_size",
        "Training images to use, drawn class by class; null for all",
        "int",
        low=1,
        optional=True,
        unit="pictures",
    ),
    Setting(
        "evaluate_on",
        "What every epoch is evaluated on: validation, a tenth of the training images, held out; or test, with "
        "nothing held out: a reproduction of curves published that way, in which nothing is chosen",
        "str",
        "validation",
        choices=("validation", "test"),
    ),
    Setting(
        "batch_size",
        "Images per step, an incomplete last batch being left out; full: all, one step per epoch",
        "int",
        128,
        low=1,
        unit="pictures",
        words=("full",),
    ),
    Setting("epochs", "Passes over the training images", "int", 10, low=1, high=100_000, unit="epochs"),
    Setting(
        "seed", "Decides initial weights, order of images, augmentation and dropout", "int", 0, low=0, high=2**32 - 1
    ),
    Setting(
        "precision",
        "Arithmetic of the network: fp32, bf16 (autocast), or auto: bf16 where the hardware has units for it",
        "str",
        "auto",
        choices=("fp32", "bf16", "auto"),
    ),
    Setting(
        "compile",
        "Whether training steps run compiled (torch.compile), which takes a minute before the first and a C++ compiler",
        "bool",
        False,
    ),
    Setting(
        "crop_padding",
        "Most that a training image is shifted each way; 0 for off",
        "int",
        4,
        low=0,
        high=16,
        unit="pixels",
    ),
    Setting(
        "crop_padding_mode",
        "What a shifted training image shows beyond its edge: its mirror image (reflect) or black (constant)",
        "str",
        "reflect",
        choices=("reflect", "constant"),
    ),
    Setting("flip", "Whether every other training image is mirrored left to right", "bool", True),
    Setting(
        "cutout_size",
        "Side of the square that is blanked out of every training image at a random place; 0 for none",
        "int",
        0,
        low=0,
        high=32,
        unit="pixels",
    ),
    Setting(
        "brightness_jitter",
        "Most by which a training image is made brighter or darker, as a fraction of the full range; 0 for off",
        "float",
        0.0,
        low=0,
        high=1,
    ),
    Setting(
        "saturation_jitter",
        "Most by which the factor of a training image's saturation is away from 1; 0 for off",
        "float",
        0.0,
        low=0,
        high=1,
    ),
    Setting(
        "contrast_jitter",
        "Most by which the factor of a training image's contrast is away from 1; 0 for off",
        "float",
        0.0,
        low=0,
        high=1,
    ),
    Setting(
        "standardization",
        "Whose mean and deviation images are scaled by: channel, each channel's over all training images; or "
        "picture, each image's own",
        "str",
        "channel",
        choices=("channel", "picture"),
    ),
    Setting(
        "mixup_alpha",
        "Training images are blended in pairs, by a share drawn from Beta(alpha, alpha) for each step; 0 for off",
        "float",
        0.0,
        low=0,
    ),
    Setting(
        "gradient_clip_norm",
        "Norm of the gradient of all weights above which it is scaled down to it; null for never",
        "float",
        low=0,
        low_open=True,
        optional=True,
    ),
    Setting(
        "ema_decay",
        "Decay rate, per step, of the mean of weights that is evaluated in place of the last weights; null for off",
        "float",
        low=0,
        high=1,
        low_open=True,
        high_open=True,
        optional=True,
    ),
    Setting(
        "measure_curvature",
        "Whether the largest and smallest eigenvalue of the loss's Hessian are computed when training has ended",
        "bool",
        False,
    ),
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
    Setting(
        "changes",
        "Settings that are others from the end of an epoch on, as a JSON text: "
        '{"5": {"lr": 0.01}} sets lr to 0.01 after epoch 5; null for none',
        "str",
        optional=True,
    ),
)

SETTINGS: Mapping[str, Setting] = {each.name: each for each in _SETTINGS}
