import pytest
import torch

from trainer.optimizers import OPTIMIZERS


def test_the_table_has_the_optimizers_of_the_protocol():
    first = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta"]
    assert list(OPTIMIZERS) == [*first, "adam", "amsgrad", "adamax", "nadam", "radam", "adamw"]


def test_settings_reach_torch_under_its_names():
    weight = torch.zeros(2, requires_grad=True)
    settings = {"lr": 0.1, "beta1": 0.5, "beta2": 0.6, "epsilon": 0.7, "weight_decay": 0.8}
    defaults = OPTIMIZERS["adam"].build([weight], settings, False).defaults
    assert (defaults["betas"], defaults["eps"], defaults["weight_decay"]) == ((0.5, 0.6), 0.7, 0.8)


def test_fused_is_asked_for_only_where_it_is_wanted():
    weight = torch.zeros(2, requires_grad=True)
    row = OPTIMIZERS["adam"]
    assert row.build([weight], row.defaults, True).defaults["fused"] is True
    assert row.build([weight], row.defaults, False).defaults["fused"] is None


@pytest.mark.parametrize("name", ["momentum", "nesterov", "rmsprop", "adadelta", "adam", "nadam", "adamw"])
def test_decay_rates_have_a_spelling_for_log_scales(name):
    complements = {each.complement_of: each for each in OPTIMIZERS[name].settings if each.complement_of}
    assert complements
    for rate in (each for each in OPTIMIZERS[name].settings if each.name in complements):
        other = complements[rate.name]
        assert (other.low_open, other.high_open) == (rate.high_open, rate.low_open)
