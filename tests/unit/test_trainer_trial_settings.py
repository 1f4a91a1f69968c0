import pytest

from trainer.trial_settings import SETTINGS


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
        "batch_size": 128,
        "epochs": 10,
        "seed": 0,
        "precision": "auto",
        "crop_padding": 4,
        "flip": True,
        "warmup_epochs": 0.0,
        "early_stopping_patience": None,
        "early_stopping_min_delta": 0.0,
    }
