import subprocess
import sys

import pytest
import torch

from trainer.tables.optimizers import OPTIMIZERS

EXTRA = [
    *("lion", "lamb", "shampoo", "soap", "sophia", "adahessian"),
    *("schedule_free_sgd", "schedule_free_adamw", "prodigy", "adan", "sam"),
]


def test_the_table_has_the_optimizers_of_the_protocol():
    first = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta"]
    adams = ["adam", "amsgrad", "adamax", "nadam", "radam", "adamw"]
    assert list(OPTIMIZERS) == [*first, *adams, "rprop", "adafactor", "asgd", "lbfgs", "muon", *EXTRA]


def test_rows_name_the_package_that_they_need():
    assert {name for name, row in OPTIMIZERS.items() if row.package is None} == set(OPTIMIZERS) - set(EXTRA)
    assert {OPTIMIZERS[name].package for name in EXTRA} == {"pytorch_optimizer"}


def test_the_table_is_there_without_the_package():
    """Only building an optimizer needs it, and only one of the rows that name it."""
    code = (
        "import sys; sys.modules['pytorch_optimizer'] = None\n"
        "from trainer.tables.optimizers import OPTIMIZERS\n"
        "assert 'torch' not in sys.modules\n"
        "print(len(OPTIMIZERS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{len(OPTIMIZERS)}\n", "")


def test_settings_reach_torch_under_its_names():
    weight = torch.zeros(2, requires_grad=True)
    settings = {"lr": 0.1, "beta1": 0.5, "beta2": 0.6, "epsilon": 0.7, "weight_decay": 0.8}
    defaults = OPTIMIZERS["adam"].build([weight], settings, False).defaults
    assert (defaults["betas"], defaults["eps"], defaults["weight_decay"]) == ((0.5, 0.6), 0.7, 0.8)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("lion", {"beta1": 0.5, "beta2": 0.6, "weight_decay": 0.7}, {"betas": (0.5, 0.6), "weight_decay": 0.7}),
        ("lamb", {"beta1": 0.5, "beta2": 0.6, "epsilon": 0.7}, {"betas": (0.5, 0.6), "eps": 0.7}),
        ("shampoo", {"momentum": 0.5, "matrix_epsilon": 0.6}, {"momentum": 0.5, "matrix_eps": 0.6}),
        ("soap", {"precondition_every": 7, "epsilon": 0.5}, {"precondition_frequency": 7, "eps": 0.5}),
        ("sophia", {"clip_threshold": 0.5, "epsilon": 0.6}, {"p": 0.5, "eps": 0.6}),
        ("adahessian", {"beta1": 0.5, "beta2": 0.6, "epsilon": 0.7}, {"betas": (0.5, 0.6), "eps": 0.7}),
        ("schedule_free_sgd", {"momentum": 0.5, "weight_decay": 0.6}, {"momentum": 0.5, "weight_decay": 0.6}),
        ("schedule_free_adamw", {"beta1": 0.5, "beta2": 0.6, "epsilon": 0.7}, {"betas": (0.5, 0.6), "eps": 0.7}),
        ("prodigy", {"d0": 0.5, "d_coef": 0.6, "epsilon": 0.7}, {"d0": 0.5, "d_coef": 0.6, "eps": 0.7}),
        ("adan", {"beta1": 0.5, "beta2": 0.6, "beta3": 0.7}, {"betas": (0.5, 0.6, 0.7)}),
        ("sam", {"rho": 0.5, "momentum": 0.6, "weight_decay": 0.7}, {"rho": 0.5, "momentum": 0.6, "weight_decay": 0.7}),
    ],
)
def test_settings_reach_the_package_under_its_names(name, settings, expected):
    row = OPTIMIZERS[name]
    optimizer = row.build([torch.zeros(2, requires_grad=True)], {**row.defaults, "lr": 0.1, **settings}, False)
    assert {argument: optimizer.defaults[argument] for argument in expected} == expected
    assert optimizer.defaults["lr"] == 0.1


@pytest.mark.parametrize(
    ("name", "setting", "attribute"),
    [
        ("shampoo", "precondition_every", "preconditioning_compute_steps"),
        ("sophia", "hessian_every", "update_period"),
        ("adahessian", "hessian_every", "update_period"),
    ],
)
def test_intervals_reach_the_package_under_its_names(name, setting, attribute):
    row = OPTIMIZERS[name]
    optimizer = row.build([torch.zeros(2, requires_grad=True)], {**row.defaults, setting: 7}, False)
    assert getattr(optimizer, attribute) == 7


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
