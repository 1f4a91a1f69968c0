import importlib.util

import pytest

from trainer.config import ConfigError, build_trial_config
from trainer.tables.optimizers import OPTIMIZERS

FULL = {"batch_size": "full", "normalization": "group"}
EXTRA = [row.name for row in OPTIMIZERS.values() if row.package == "pytorch_optimizer"]


def find_faults(parameters):
    with pytest.raises(ConfigError) as caught:
        build_trial_config(parameters)
    return {fault.parameter: fault.message for fault in caught.value.faults}


CONTRADICTIONS = [
    (
        {"dataset": "imagefolder"},
        "data_dir",
        "missing, but dataset imagefolder needs it; give the folder that has train/<class>/ and test/<class>/",
    ),
    (
        {"dataset": "synthetic", "data_dir": "x"},
        "data_dir",
        "found 'x', but dataset synthetic reads no files; remove it",
    ),
    (
        {"train_size": 100, "batch_size": 101},
        "batch_size",
        "found 101, more than train_size 100; allowed: up to train_size; make it smaller",
    ),
    (
        {"train_size": 100},
        "batch_size",
        "found 128, more than train_size 100; allowed: up to train_size; make it smaller",
    ),
    (
        {"early_stopping_min_delta": 0.1},
        "early_stopping_min_delta",
        "found without early_stopping_patience, so nothing would use it; give both or none",
    ),
    (
        {"crop_padding": 0, "crop_padding_mode": "constant"},
        "crop_padding_mode",
        "found 'constant' with crop_padding 0, under which no image is shifted; remove one of them",
    ),
    (
        {"evaluate_on": "test", "early_stopping_patience": 2},
        "early_stopping_patience",
        "found with evaluate_on test, under which the test images would decide when training ends; leave it out",
    ),
    (
        {"evaluate_on": "test", "schedule": "reduce_on_plateau"},
        "schedule",
        "found 'reduce_on_plateau' with evaluate_on test, under which the test images would decide the learning "
        "rate; choose another",
    ),
    (
        {"schedule": "one_cycle", "warmup_epochs": 1},
        "warmup_epochs",
        "found 1, but one_cycle has its own warm-up; set warmup_fraction instead",
    ),
    (
        {"epochs": 2, "warmup_epochs": 2.5},
        "warmup_epochs",
        "found 2.5; allowed: up to epochs, 2; make it smaller",
    ),
    (
        {"batch_size": "full"},
        "batch_size",
        "found 'full' with batch normalisation, whose statistics hang on the parts in which the batch is worked off; "
        "set normalization to group or none",
    ),
    (
        {**FULL, "mixup_alpha": 0.2},
        "mixup_alpha",
        "found with batch_size full, which is one step per epoch; set it to 0",
    ),
    (
        {"optimizer": "rprop", "schedule": "cosine"},
        "schedule",
        "found 'cosine', but rprop finds its own steps after the first; use constant",
    ),
    (
        {"optimizer": "rprop", "warmup_epochs": 1},
        "warmup_epochs",
        "found with rprop, which finds its own steps after the first; set it to 0",
    ),
    (
        {"optimizer": "lbfgs", "dropout": 0.5},
        "dropout",
        "found 0.5, but lbfgs evaluates the same batch again and again, which has to give the same each time; "
        "set it to 0",
    ),
    (
        {"optimizer": "lbfgs", "gradient_clip_norm": 1},
        "gradient_clip_norm",
        "found with lbfgs, which searches along the gradient as it is; leave it out",
    ),
    *(
        (
            {"optimizer": name, "gradient_clip_norm": 1},
            "gradient_clip_norm",
            f"found with {name}, which differentiates the gradient as it is; leave it out",
        )
        for name in ("sophia", "adahessian")
    ),
    (
        {"optimizer": "sophia", **FULL},
        "batch_size",
        "found 'full', but sophia differentiates the gradient, for which the whole batch has to be in memory at once; "
        "give a number",
    ),
    (
        {"optimizer": "adahessian", "loss": "multi_margin"},
        "loss",
        "found 'multi_margin', whose gradient torch cannot differentiate, but adahessian does; choose another loss",
    ),
    (
        {"measure_curvature": True, "loss": "multi_margin"},
        "measure_curvature",
        "found with multi_margin, whose gradient torch cannot differentiate; leave it out",
    ),
    (
        {"optimizer": "schedule_free_sgd", "ema_decay": 0.9},
        "ema_decay",
        "found with schedule_free_sgd, which evaluates an average of its own; leave it out",
    ),
    (
        {"optimizer": "schedule_free_adamw", "schedule": "cosine"},
        "schedule",
        "found 'cosine', but schedule_free_adamw takes the place of a schedule; use constant (warmup_epochs may stay)",
    ),
]


@pytest.mark.parametrize(
    ("parameters", "parameter", "message"),
    CONTRADICTIONS,
    ids=lambda each: ",".join(each) if isinstance(each, dict) else "",
)
def test_says_what_does_not_go_together_and_what_to_do(parameters, parameter, message):
    assert find_faults(parameters) == {parameter: message}


@pytest.mark.parametrize(
    "parameters",
    [
        {"dataset": "imagefolder", "data_dir": "x"},
        {"dataset": "synthetic", "data_dir": None},
        {"train_size": 100, "batch_size": 100},
        {"early_stopping_min_delta": 0},
        {"evaluate_on": "test", "schedule": "cosine", "early_stopping_patience": None},
        {"early_stopping_min_delta": 0.1, "early_stopping_patience": 1},
        {"schedule": "one_cycle", "warmup_epochs": 0.0},
        {"epochs": 2, "warmup_epochs": 2},
        {"batch_size": "full", "normalization": "none", "train_size": 10},
        {**FULL, "mixup_alpha": 0, "cutout_size": 8, "dropout": 0.5, "gradient_clip_norm": 1, "ema_decay": 0.9},
        {"batch_size": "full", "model": "mlp"},
        {"batch_size": "full", "model": "cnn3c3d"},
        {"optimizer": "lbfgs", "dropout": 0, "ema_decay": 0.9, "mixup_alpha": 0.2, "schedule": "cosine"},
        {"optimizer": "lbfgs", **FULL},
        {"optimizer": "sam", "dropout": 0.5, "gradient_clip_norm": 1, "ema_decay": 0.9},
        {"optimizer": "sophia", "dropout": 0.5, "ema_decay": 0.9, "mixup_alpha": 0.2, "schedule": "cosine"},
        {"optimizer": "muon", "loss": "multi_margin"},
        {"measure_curvature": True, "loss": "focal"},
        {"measure_curvature": False, "loss": "multi_margin"},
        {"optimizer": "schedule_free_sgd", "warmup_epochs": 1, "gradient_clip_norm": 1, "dropout": 0.5},
        {"optimizer": "adam", "schedule": "cosine", "ema_decay": 0.9},
    ],
    ids=lambda parameters: ",".join(parameters),
)
def test_what_goes_together_is_allowed(parameters):
    build_trial_config(parameters)


def test_all_contradictions_come_at_once():
    faults = find_faults({"optimizer": "lbfgs", "dropout": 0.5, "gradient_clip_norm": 1, "batch_size": "full"})
    assert list(faults) == ["dropout", "gradient_clip_norm", "batch_size"]


def test_nothing_is_said_of_what_is_at_fault_already():
    assert list(find_faults({"train_size": 10, "batch_size": "many"})) == ["batch_size"]
    assert list(find_faults({"optimizer": "schedule_fre_sgd", "ema_decay": 0.9})) == ["optimizer"]
    assert list(find_faults({"model": "fastcn", "batch_size": "full"})) == ["model"]


class TestPackage:
    @pytest.fixture(autouse=True)
    def nothing_is_installed(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    @pytest.mark.parametrize("name", EXTRA)
    def test_a_row_whose_package_is_missing_says_what_to_install(self, name):
        assert find_faults({"optimizer": name}) == {
            "optimizer": f"found {name!r}, which needs the package pytorch-optimizer; "
            "install it: pip install 'sweeps[optimizers]'"
        }

    def test_rows_of_torch_need_nothing(self):
        for row in OPTIMIZERS.values():
            if row.package is None:
                build_trial_config({"optimizer": row.name})
