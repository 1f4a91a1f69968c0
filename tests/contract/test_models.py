"""What holds for every row of the table of models."""

import pickle

import pytest
import torch

from trainer.config import ConfigError, build_trial_config
from trainer.loop import TrainingRun
from trainer.models import MODELS
from trainer.synthetic import draw_synthetic

NUM_PARAMETERS = {"fastcnn": 295_466, "cnn3c3d": 895_210}


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(120, 20)


def build_run(row, data, **settings):
    parameters = {"model": row.name, "dataset": "synthetic", "batch_size": 50, "epochs": 2, "lr": 1e-3, **settings}
    return TrainingRun(build_trial_config(parameters), data, device="cpu", num_threads=1)


@pytest.mark.parametrize("row", MODELS.values(), ids=MODELS)
class TestModels:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert "https://" in row.source
        assert all(setting.description for setting in row.settings)

    def test_pickles(self, row):
        assert pickle.loads(pickle.dumps(row)) == row
        model = row.build(row.defaults, 10).eval()
        images = torch.ones(2, 3, 32, 32)
        assert torch.equal(pickle.loads(pickle.dumps(model))(images), model(images))

    @pytest.mark.parametrize("num_classes", [2, 10, 37])
    def test_gives_one_logit_per_class(self, row, num_classes):
        logits = row.build(row.defaults, num_classes)(torch.zeros(3, 3, 32, 32))
        assert logits.shape == (3, num_classes)

    def test_has_its_number_of_weights(self, row):
        model = row.build(row.defaults, 10)
        assert sum(parameter.numel() for parameter in model.parameters()) == NUM_PARAMETERS[row.name]

    def test_every_weight_takes_part(self, row):
        model = row.build(row.defaults, 10)
        model(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))).square().sum().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_same_seed_same_result(self, row, data, precision):
        first, second = (build_run(row, data, precision=precision) for _ in range(2))
        assert first.run_epoch().val_loss == second.run_epoch().val_loss
        assert all(map(torch.equal, first.model.parameters(), second.model.parameters()))

    def test_state_round_trip_equals_no_interruption(self, row, data):
        straight, before, after = (build_run(row, data) for _ in range(3))
        straight.run_epoch()
        before.run_epoch()
        after.load_state_dict(before.state_dict())
        assert straight.run_epoch().val_loss == after.run_epoch().val_loss

    def test_leaves_the_global_generator_alone(self, row, data):
        before = torch.get_rng_state()
        weights = next(build_run(row, data).model.parameters()).clone()
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        assert torch.equal(next(build_run(row, data).model.parameters()), weights)

    def test_refuses_settings_it_does_not_have(self, row):
        own = {each.name for each in row.settings}
        for name in {each.name for other in MODELS.values() for each in other.settings} - own:
            with pytest.raises(ConfigError, match=f"'{row.name}' does not have this setting"):
                build_trial_config({"model": row.name, name: 1})
