"""Rows by dotted path, from a module that the test writes."""

import sys
import textwrap

import pytest
import torch

from trainer import train_model
from trainer.config import ConfigError, build_trial_config, find_setting
from trainer.config.own_rows import load_own_row
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun

MODULE = '''
import torch
from torch import nn

calls = []

class SignSGD(torch.optim.Optimizer):
    """Steps by the sign of the gradient.

    More words.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay: float = 0, steps: int = 2, nesterov=False,
                 mode="plain", limit=None, **more):
        super().__init__(params, {"lr": lr, "betas": betas})
        calls.append((lr, betas, weight_decay, steps, nesterov, mode, limit))

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(p.grad.sign(), alpha=-group["lr"])
        return loss

class NeedsLr(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr)

class NoLr(torch.optim.Optimizer):
    def __init__(self, params, rate=1.0):
        super().__init__(params, {})

class Doubled(torch.optim.Optimizer):
    def __init__(self, params, lr=1.0, betas=(0.9, 0.99), beta1=0.5):
        super().__init__(params, {})

class Wordy(torch.optim.Optimizer):
    def __init__(self, params, lr=1.0, LONG=3):
        super().__init__(params, {})

def deep_net(num_classes, momentum=0.5):
    return nn.Linear(3072, num_classes)

class Clashes(torch.optim.Optimizer):
    def __init__(self, params, lr=1.0, epochs=3):
        super().__init__(params, {})

def net(num_classes, hidden: int = 16):
    head = nn.Linear(hidden, num_classes)
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, hidden), nn.LayerNorm(hidden), nn.ReLU(), head)

def small(weight, gain=0.1):
    nn.init.normal_(weight, std=gain)

def given(weight, generator, gain=0.1):
    weight.normal_(0, gain, generator=generator)

def squared(logits, labels, power=1.0):
    return nn.functional.cross_entropy(logits, labels) ** power

def falling(step, num_steps, floor=0.5):
    return max(floor, 1 - step / num_steps)

def lonely():
    pass

number = 3
'''
SETTINGS = {"dataset": "synthetic", "batch_size": 20, "epochs": 2, "precision": "fp32", "crop_padding": 0}


@pytest.fixture(scope="module", autouse=True)
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(textwrap.dedent(MODULE).replace("LONG", "long" * 60))
    (folder / "broken.py").write_text("raise RuntimeError('no')\n")
    (folder / "leaving.py").write_text("import sys\nsys.exit('no')\n")
    sys.path.insert(0, str(folder))
    yield __import__("mine")
    sys.path.remove(str(folder))
    load_own_row.cache_clear()


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(200, 40)


def test_an_optimizer_gets_its_settings_and_defaults(module):
    module.calls.clear()
    config = build_trial_config({"optimizer": "mine:SignSGD", "lr": 0.01, "beta1": 0.5, "limit": 2.5, "steps": 4})
    assert config.optimizer.name == "mine:SignSGD"
    row = load_own_row("optimizer", "mine:SignSGD")
    assert row.description == "Steps by the sign of the gradient."
    row.build([torch.zeros(2, requires_grad=True)], config.optimizer.settings, False)
    assert module.calls == [(0.01, (0.5, 0.99), 0.0, 4, False, "plain", 2.5)]


def test_a_required_argument_is_required():
    with pytest.raises(ConfigError, match="lr: missing, but mine:NeedsLr needs it"):
        build_trial_config({"optimizer": "mine:NeedsLr"})
    assert build_trial_config({"optimizer": "mine:NeedsLr", "lr": 0.1}).optimizer.settings["lr"] == 0.1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"lr": "x"}, "lr: found 'x'; allowed: a number; write a number"),
        ({"steps": 1.5}, "steps: found 1.5; allowed: a whole number; write 1 or 2"),
        ({"nesterov": 1}, "nesterov: found 1; allowed: true or false"),
        ({"momentum": 0.9}, "momentum: 'mine:SignSGD' does not have this setting"),
        ({"beta1": 2.0}, "beta1: found 2.0; allowed: a number from 0 to 1"),
    ],
)
def test_settings_are_checked_against_the_signature(parameters, words):
    with pytest.raises(ConfigError) as caught:
        build_trial_config({"optimizer": "mine:SignSGD", **parameters})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("table", "path", "words"),
    [
        ("optimizer", "mine:Missing", "cannot be imported (AttributeError"),
        ("optimizer", "nowhere:X", "cannot be imported (ModuleNotFoundError"),
        ("optimizer", "broken:X", "cannot be imported (RuntimeError: no)"),
        ("optimizer", "leaving:X", "cannot be imported (SystemExit: no)"),
        ("optimizer", "mine:net", "is no torch.optim.Optimizer"),
        ("optimizer", "mine:NoLr", "has no argument lr"),
        ("optimizer", "mine:Clashes", "an argument epochs, which every trial has already"),
        ("model", "mine:number", "is a int; allowed: a class or function"),
        ("model", "mine:lonely", "called with (num_classes, settings...)"),
        ("loss", "mine:number:x", "allowed: package.module:name"),
    ],
)
def test_what_cannot_be_used_is_told(table, path, words):
    with pytest.raises(ConfigError) as caught:
        build_trial_config({table: path})
    assert words in str(caught.value)


def test_everything_of_ones_own_trains_repeats_and_resumes(data):
    own = {
        **SETTINGS,
        "optimizer": "mine:SignSGD",
        "model": "mine:net",
        "initializer": "mine:small",
        "loss": "mine:squared",
        "schedule": "mine:falling",
        "lr": 2e-3,
        "hidden": 8,
        "gain": 0.05,
        "power": 1.0,
        "floor": 0.25,
    }
    config = build_trial_config(own)
    torch.manual_seed(1)
    first = TrainingRun(config, data, device="cpu")
    results = [first.run_epoch() for _ in range(2)]
    assert results[-1].train_loss < results[0].train_loss
    assert results[-1].lr == pytest.approx(2e-3 * 0.25, rel=0.2)
    torch.manual_seed(2)  # nothing hangs on what torch's global generator is at
    second = TrainingRun(config, data, device="cpu")
    second.run_epoch()
    third = TrainingRun(config, data, device="cpu")
    third.load_state_dict(second.state_dict())
    assert third.run_epoch().train_loss == results[-1].train_loss
    weights = [module for module in first.model.modules() if isinstance(module, torch.nn.Linear)]
    assert len(weights) == 2


def test_an_initialiser_that_asks_for_a_generator_gets_the_runs(data):
    settings = {**SETTINGS, "model": "mlp", "width": 0.02, "initializer": "mine:given", "gain": 0.3}
    first, second, other = (
        TrainingRun(build_trial_config({**settings, "seed": seed}), data, device="cpu") for seed in (1, 1, 2)
    )
    weights = [next(run.model.parameters()) for run in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert float(weights[0].detach().std()) == pytest.approx(0.3, rel=0.05)


def test_train_model_takes_it_and_settings_are_found(data):
    trained = train_model("mine:SignSGD", data=data, progress=False, lr=1e-3, width=0.25, depth=1, **SETTINGS)
    assert trained.config.optimizer.name == "mine:SignSGD"
    setting = find_setting("steps", {"optimizer": "mine:SignSGD"})
    assert setting is not None
    assert setting.kind == "int"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Doubled", "an argument beta1, which is one of its betas too"),
        ("Wordy", "an argument of more than 200 characters"),
    ],
)
def test_settings_of_one_name_or_without_room_are_refused(name, words):
    with pytest.raises(ConfigError, match=words):
        build_trial_config({"optimizer": f"mine:{name}"})


def test_a_setting_that_two_chosen_rows_have_is_refused():
    words = "model: found 'mine:deep_net' with an argument momentum, a setting of the optimizer momentum too; rename"
    with pytest.raises(ConfigError, match=words):
        build_trial_config({"optimizer": "momentum", "model": "mine:deep_net"})
    assert build_trial_config({"optimizer": "sgd", "model": "mine:deep_net"}).model.settings["momentum"] == 0.5


def test_a_default_that_happens_to_be_whole_is_the_fraction_that_a_file_would_give():
    row = load_own_row("optimizer", "torch.optim:SGD")
    fractions = {each.name: each.default for each in row.settings if each.kind == "float" and each.default is not None}
    assert {"momentum", "dampening", "weight_decay"} <= set(fractions)
    assert all(type(default) is float for default in fractions.values()), fractions
