"""What holds for every row of the table of optimizers."""

import pickle

import pytest
import torch

from trainer.config import ConfigError, build_trial_config
from trainer.loop import TrainingRun
from trainer.optimizers import OPTIMIZERS
from trainer.synthetic import draw_synthetic

TINY = {"model": "fastcnn", "width": 0.25, "depth": 1, "dataset": "synthetic", "batch_size": 50, "epochs": 2}

# Settings of each row that are not its defaults, and what builds the same with torch alone.
TORCH = {
    "sgd": (
        {"lr": 0.05, "weight_decay": 0.01},
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, weight_decay=0.01),
    ),
    "momentum": (
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01},
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.8, weight_decay=0.01),
    ),
    "nesterov": (
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01},
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.8, weight_decay=0.01, nesterov=True),
    ),
    "adagrad": (
        {"lr": 0.05, "epsilon": 1e-6, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adagrad(parameters, lr=0.05, eps=1e-6, weight_decay=0.01),
    ),
    "rmsprop": (
        {"lr": 0.05, "alpha": 0.9, "momentum": 0.5, "epsilon": 1e-6, "weight_decay": 0.01},
        lambda parameters: torch.optim.RMSprop(
            parameters, lr=0.05, alpha=0.9, momentum=0.5, eps=1e-6, weight_decay=0.01
        ),
    ),
    "adadelta": (
        {"lr": 0.5, "rho": 0.8, "epsilon": 1e-5, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adadelta(parameters, lr=0.5, rho=0.8, eps=1e-5, weight_decay=0.01),
    ),
    "amsgrad": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adam(
            parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01, amsgrad=True
        ),
    ),
    "adamax": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adamax(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01),
    ),
    "nadam": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "momentum_decay": 0.01, "weight_decay": 0.01},
        lambda parameters: torch.optim.NAdam(
            parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-6, momentum_decay=0.01, weight_decay=0.01
        ),
    ),
    "radam": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.01},
        lambda parameters: torch.optim.RAdam(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01),
    ),
    "adam": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.01},
        lambda parameters: torch.optim.Adam(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.01),
    ),
    "adamw": (
        {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.1},
        lambda parameters: torch.optim.AdamW(parameters, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    ),
}
TORCH_DEFAULTS = {
    "sgd": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "nesterov": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
    "amsgrad": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(250, 20)


def build_weights():
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in ((5, 3), (4,))]


def take_steps(optimizer, weights, first, last):
    """Steps on gradients that hang on nothing but the number of the step."""
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("row", OPTIMIZERS.values(), ids=OPTIMIZERS)
class TestOptimizers:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert "torch.optim" in row.source
        assert all(setting.description for setting in row.settings)

    def test_pickles(self, row):
        copied = pickle.loads(pickle.dumps(row))
        assert (copied.name, copied.settings) == (row.name, row.settings)
        assert type(copied.build(build_weights(), row.defaults, False)) is TORCH_DEFAULTS[row.name]

    def test_equals_torch(self, row):
        settings, build_with_torch = TORCH[row.name]
        config = build_trial_config({"optimizer": row.name, **settings})
        ours, theirs = build_weights(), build_weights()
        take_steps(row.build(ours, config.optimizer.settings, False), ours, 0, 5)
        take_steps(build_with_torch(theirs), theirs, 0, 5)
        assert all(map(torch.equal, ours, theirs))
        assert set(settings) == set(row.defaults), "the comparison has to touch every setting"

    def test_has_torchs_defaults(self, row):
        ours = row.build(build_weights(), row.defaults, False).defaults
        theirs = TORCH_DEFAULTS[row.name](build_weights()).defaults
        chosen = {"momentum": {"momentum"}, "nesterov": {"momentum", "nesterov"}, "amsgrad": {"amsgrad"}}.get(
            row.name, set()
        )
        assert {k: v for k, v in ours.items() if k not in chosen} == {
            k: v for k, v in theirs.items() if k not in chosen
        }

    def test_fused_kernel_agrees(self, row):
        if "cpu" not in row.fused_devices:
            assert not row.has_fused
            return
        plain, fused = build_weights(), build_weights()
        take_steps(row.build(plain, row.defaults, False), plain, 0, 5)
        take_steps(row.build(fused, row.defaults, True), fused, 0, 5)
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("fused", [False, True])
    def test_state_round_trip_equals_no_interruption(self, row, fused):
        fused = fused and row.has_fused
        settings = {**row.defaults, **TORCH[row.name][0]}
        straight, paused = build_weights(), build_weights()
        take_steps(row.build(straight, settings, fused), straight, 0, 6)
        before = row.build(paused, settings, fused)
        take_steps(before, paused, 0, 3)
        after = row.build(paused, settings, fused)
        after.load_state_dict(before.state_dict())
        take_steps(after, paused, 3, 6)
        assert all(map(torch.equal, straight, paused))

    def test_same_seed_same_result(self, row, data):
        config = build_trial_config({**TINY, "optimizer": row.name, "lr": 0.01})
        first, second = (TrainingRun(config, data, device="cpu", num_threads=1) for _ in range(2))
        results = [(run.run_epoch(), run.run_epoch()) for run in (first, second)]
        assert [each.train_loss for each in results[0]] == [each.train_loss for each in results[1]]
        assert all(map(torch.equal, first.model.parameters(), second.model.parameters()))

    def test_counts_gradient_evaluations(self, row, data):
        config = build_trial_config({**TINY, "optimizer": row.name, "lr": 0.01})
        result = TrainingRun(config, data, device="cpu", num_threads=1).run_epoch()
        assert result.num_gradient_evaluations == result.num_steps * row.gradient_evaluations_per_step

    def test_decoupled_weight_decay_leaves_the_gradient_alone(self, row):
        weights, before = build_weights(), build_weights()
        settings = {**row.defaults, "lr": 0.1, "weight_decay": 0.5}
        optimizer = row.build(weights, settings, False)
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
        optimizer.step()
        shrunk = [each * (1 - 0.1 * 0.5) ** 2 for each in before]
        is_shrunk = all(torch.allclose(*pair) for pair in zip(weights, shrunk, strict=True))
        # Plain SGD's penalty comes to the same thing; that is why only adaptive methods need the distinction.
        assert is_shrunk == (row.decoupled_weight_decay or row.name == "sgd")

    def test_refuses_settings_it_does_not_have(self, row):
        foreign = {each.name for other in OPTIMIZERS.values() for each in other.settings} - {
            each.name for each in row.settings
        }
        for name in foreign:
            with pytest.raises(ConfigError) as caught:
                build_trial_config({"optimizer": row.name, name: 0.5})
            assert [fault.parameter for fault in caught.value.faults] == [name]
            assert f"'{row.name}' does not have this setting" in str(caught.value)

    def test_both_spellings_of_a_decay_rate_agree(self, row):
        for setting in row.settings:
            if setting.complement_of:
                spelt = build_trial_config({"optimizer": row.name, setting.name: 0.25})
                assert spelt == build_trial_config({"optimizer": row.name, setting.complement_of: 0.75})
                with pytest.raises(ConfigError, match="spells in another way"):
                    build_trial_config({"optimizer": row.name, setting.name: 0.25, setting.complement_of: 0.75})
