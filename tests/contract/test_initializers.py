"""What holds for every row of the table of initialisers."""

import math
import pickle

import pytest
import torch
from torch import nn

from trainer.config import ConfigError, build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.training_run import TrainingRun
from trainer.tables.initializers import INITIALIZERS, initialize

# Inputs and outputs of the layer that the variances are measured on: 3x3 convolution of 40 to 80 channels.
NUM_INPUTS, NUM_OUTPUTS = 40 * 9, 80 * 9
VARIANCES = {
    "glorot_uniform": 2 / (NUM_INPUTS + NUM_OUTPUTS),
    "glorot_normal": 2 / (NUM_INPUTS + NUM_OUTPUTS),
    "he_uniform": 2 / NUM_INPUTS,
    "he_normal": 2 / NUM_INPUTS,
    "torch_default": 1 / (3 * NUM_INPUTS),
    "lecun_normal": 1 / NUM_INPUTS,
    "orthogonal": 1 / NUM_INPUTS,  # fewer outputs than inputs, so the weights of each output have length one
    "zeros": 0,
    "normal": 0.05**2,
}
UNIFORM = {"glorot_uniform", "he_uniform", "torch_default"}


def build_model():
    return nn.Sequential(nn.Conv2d(40, 80, 3), nn.BatchNorm2d(80), nn.Flatten(), nn.Linear(80, 10))


def build_generator(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("row", INITIALIZERS.values(), ids=INITIALIZERS)
class TestInitializers:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert "https://" in row.source

    def test_pickles(self, row):
        assert pickle.loads(pickle.dumps(row)) == row

    def test_has_its_variance_and_shape(self, row):
        weight = torch.empty(80, 40, 3, 3)
        row.build(row.defaults, weight, build_generator())
        if row.name == "zeros":
            assert not weight.any()
            return
        assert abs(weight.mean()) < 0.02 * weight.std()
        assert weight.var().item() == pytest.approx(VARIANCES[row.name], rel=0.03)
        # A uniform distribution ends at the root of three standard deviations; a normal one does not.
        bound = math.sqrt(3 * VARIANCES[row.name])
        assert (weight.abs().max().item() <= bound * 1.0001) == (row.name in UNIFORM)

    def test_same_seed_same_result(self, row):
        first, second, other = build_model(), build_model(), build_model()
        initialize(first, row, row.defaults, build_generator(1))
        initialize(second, row, row.defaults, build_generator(1))
        initialize(other, row, row.defaults, build_generator(2))
        assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
        assert torch.equal(first[0].weight, other[0].weight) == (row.name == "zeros")

    def test_leaves_the_global_generator_alone(self, row):
        model = build_model()
        before = torch.get_rng_state()
        initialize(model, row, row.defaults, build_generator())
        assert torch.equal(torch.get_rng_state(), before)

    def test_zeroes_biases_and_resets_normalization(self, row):
        model = build_model()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(3)
            model[1].running_mean.fill_(3)
        initialize(model, row, row.defaults, build_generator())
        assert not model[0].bias.any()
        assert not model[3].bias.any()
        assert (model[1].weight == 1).all()
        assert not model[1].bias.any()
        assert not model[1].running_mean.any()

    def test_does_not_depend_on_the_number_of_threads(self, row):
        num_threads = torch.get_num_threads()
        weights = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            weights.append(torch.empty(80, 40, 3, 3))
            row.build(row.defaults, weights[-1], build_generator())
        torch.set_num_threads(num_threads)
        assert torch.equal(*weights)

    def test_other_names_mean_the_same_configuration(self, row):
        config = build_trial_config({"initializer": row.name})
        assert all(build_trial_config({"initializer": alias}) == config for alias in row.aliases)
        assert config.to_parameters()["initializer"] == row.name

    def test_state_round_trip_equals_no_interruption(self, row):
        data = draw_synthetic(200, 20)
        config = build_trial_config(
            {"initializer": row.name, "dataset": "synthetic", "width": 0.25, "depth": 1, "batch_size": 60, "epochs": 2}
        )
        straight, before, after = (TrainingRun(config, data, device="cpu", num_threads=1) for _ in range(3))
        straight.run_epoch()
        before.run_epoch()
        after.load_state_dict(before.state_dict())
        assert straight.run_epoch().train_loss == after.run_epoch().train_loss

    def test_refuses_settings_it_does_not_have(self, row):
        with pytest.raises(ConfigError, match="gain: unknown setting"):
            build_trial_config({"initializer": row.name, "gain": 2.0})
        if not row.settings:
            with pytest.raises(ConfigError, match=r"init_std: .* does not have this setting"):
                build_trial_config({"initializer": row.name, "init_std": 2.0})
