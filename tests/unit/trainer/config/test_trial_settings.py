import pytest

from trainer.config.trial_settings import SETTINGS


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_default_is_legal_and_described(setting):
    assert setting.check(setting.default) is None
    assert setting.description
    assert not setting.required
    assert setting.optional == (setting.default is None)


def test_defaults_are_those_of_the_documentation():
    assert {name: each.default for name, each in SETTINGS.items()} == {
        "dataset": "cifar10",
        "data_dir": None,
        "train_size": None,
        "evaluate_on": "validation",
        "batch_size": 128,
        "epochs": 10,
        "seed": 0,
        "precision": "auto",
        "compile": False,
        "crop_padding": 4,
        "crop_padding_mode": "reflect",
        "flip": True,
        "cutout_size": 0,
        "brightness_jitter": 0.0,
        "saturation_jitter": 0.0,
        "contrast_jitter": 0.0,
        "standardization": "channel",
        "mixup_alpha": 0.0,
        "gradient_clip_norm": None,
        "ema_decay": None,
        "measure_curvature": False,
        "warmup_epochs": 0.0,
        "early_stopping_patience": None,
        "early_stopping_min_delta": 0.0,
        "changes": None,
    }


@pytest.mark.parametrize(
    ("name", "legal", "illegal"),
    [
        ("batch_size", [1, 128, "full"], [0, -1, 2.0, None, "all", ""]),
        ("cutout_size", [0, 1, 32], [-1, 33, 1.5, None]),
        ("crop_padding_mode", ["reflect", "constant"], ["edge", "black", None]),
        ("evaluate_on", ["validation", "test"], ["train", None]),
        ("brightness_jitter", [0, 0.247, 1], [-0.1, 1.1, None]),
        ("saturation_jitter", [0, 0.5, 1], [-0.1, 1.1, None]),
        ("contrast_jitter", [0, 0.8, 1], [-0.1, 1.1, None]),
        ("standardization", ["channel", "picture"], ["none", None]),
        ("mixup_alpha", [0, 0.2, 10.0], [-0.1, None, True]),
        ("gradient_clip_norm", [1e-3, 5, None], [0, -1, "full"]),
        ("ema_decay", [0.001, 0.999, None], [0, 1, 1.5]),
        ("compile", [True, False], [0, None, "yes"]),
        ("measure_curvature", [True, False], [0, None, "yes"]),
    ],
)
def test_ranges(name, legal, illegal):
    assert [value for value in legal if SETTINGS[name].check(value) is not None] == []
    assert [value for value in illegal if SETTINGS[name].check(value) is None] == []
