"""What holds for every row of the table of models."""

import copy
import pickle

import pytest
import torch
from torch import nn

from trainer.config import ConfigError, build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.export import ImageClassifier
from trainer.loop.training_run import TrainingRun
from trainer.networks.layers import Dropout
from trainer.tables.models import MODELS

NUM_PARAMETERS = {
    "fastcnn": 295_466,
    "cnn3c3d": 895_210,
    "resnet20": 269_722,  # the paper's table 6 has 0.27 M
    "resnet18": 11_173_962,  # torchvision's 11,689,512 with 10 classes, and 3x3 in place of 7x7 in the stem
    "plain": 269_034,  # of resnet20's, 2 of normalisation for each of its 688 channels less, a bias for each more
    "mlp": 1_841_162,
}

# Values that are not the defaults: what training has to be able to do with every setting.
OTHERS = {
    "width": 0.125,
    "depth": 1,
    "hidden": 64,
    "activation": "gelu",
    "normalization": "group",
    "dropout": 0.4,
    "l2_penalty": 0.002,
}
# Of the large networks, for bf16 without units for it takes up to 10 s per epoch of 50 images.
SMALL = {"resnet20": {"depth": 1}, "resnet18": {"width": 0.125}, "plain": {"depth": 1}}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
NORMALIZATIONS = {"batch": {nn.BatchNorm2d}, "group": {nn.GroupNorm}, "none": set()}


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(60, 20)


def list_others(row):
    return {each.name: OTHERS[each.name] for each in row.settings}


def list_settings(row, kind):
    return SMALL.get(row.name, {}) if kind == "defaults" else list_others(row)


def build_model(row, **settings):
    """The network with weights of its own that are the same in every test."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return row.build({**row.defaults, **settings}, 10)


def build_run(row, data, **settings):
    parameters = {"model": row.name, "dataset": "synthetic", "batch_size": 25, "epochs": 2, "lr": 1e-3, **settings}
    return TrainingRun(build_trial_config(parameters), data, device="cpu", num_threads=1)


def draw_images(count):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def list_kinds(model, kinds):
    """Which of some kinds of layers a network has."""
    return {type(layer) for layer in model.modules()} & set(kinds)


def list_layers(model, *kinds):
    return [layer for layer in model.modules() if isinstance(layer, kinds)]


def has(row, name):
    return any(setting.name == name for setting in row.settings)


def rows_that_have(name):
    return pytest.mark.parametrize("row", [row for row in MODELS.values() if has(row, name)], ids=lambda row: row.name)


@pytest.mark.parametrize("row", MODELS.values(), ids=MODELS)
class TestModels:
    def test_has_description_and_source(self, row):
        assert len(row.description) > 20
        assert "https://" in row.source
        assert all(setting.description for setting in row.settings)

    def test_pickles_and_copies(self, row):
        assert pickle.loads(pickle.dumps(row)) == row
        model = build_model(row, **list_others(row)).eval()
        images = draw_images(2)
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert torch.equal(other(images), model(images))
            other.load_state_dict(model.state_dict())

    @pytest.mark.parametrize("num_classes", [2, 10, 37])
    def test_gives_one_logit_per_class(self, row, num_classes):
        logits = row.build(row.defaults, num_classes)(torch.zeros(3, 3, 32, 32))
        assert logits.shape == (3, num_classes)

    def test_has_its_number_of_weights(self, row):
        model = row.build(row.defaults, 10)
        assert sum(parameter.numel() for parameter in model.parameters()) == NUM_PARAMETERS[row.name]

    @pytest.mark.parametrize("kind", ["defaults", "others"])
    def test_every_weight_takes_part(self, row, kind):
        model = build_model(row, **({} if kind == "defaults" else list_others(row)))
        model.seed_dropout(0, 0)
        model(draw_images(4)).square().sum().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())

    def test_the_order_of_the_numbers_in_memory_does_not_matter(self, row):
        model, images = build_model(row), draw_images(4)
        expected = model(images)
        turned = model.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(turned, expected, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("kind", ["defaults", "others"])
    def test_same_seed_same_result(self, row, data, precision, kind):
        first, second = (build_run(row, data, precision=precision, **list_settings(row, kind)) for _ in range(2))
        assert first.run_epoch().val_loss == second.run_epoch().val_loss
        assert all(map(torch.equal, first.model.parameters(), second.model.parameters()))

    @pytest.mark.parametrize("kind", ["defaults", "others"])
    def test_state_round_trip_equals_no_interruption(self, row, data, kind):
        straight, before, after = (build_run(row, data, **list_settings(row, kind)) for _ in range(3))
        straight.run_epoch()
        before.run_epoch()
        after.load_state_dict(before.state_dict())
        assert straight.run_epoch().val_loss == after.run_epoch().val_loss

    def test_leaves_the_global_generator_alone(self, row, data):
        before = torch.get_rng_state()
        run = build_run(row, data, **list_others(row))
        weights = next(run.model.parameters()).clone()
        run.run_epoch()
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        again = build_run(row, data, **list_others(row))
        assert torch.equal(next(again.model.parameters()), weights)
        again.run_epoch()
        assert all(map(torch.equal, run.model.parameters(), again.model.parameters()))

    def test_exports(self, row):
        model = build_model(row, **list_others(row)).eval()
        classifier = ImageClassifier(model, torch.full((3,), 120.0), torch.full((3,), 60.0), standardizes=False).eval()
        images = 120 + 60 * draw_images(5)
        exported = torch.export.export(classifier, (images[:2],), dynamic_shapes=[{0: torch.export.Dim.AUTO}])
        torch.testing.assert_close(exported.module()(images), classifier(images))

    def test_refuses_settings_it_does_not_have(self, row):
        own = {each.name for each in row.settings}
        for name in {each.name for other in MODELS.values() for each in other.settings} - own:
            with pytest.raises(ConfigError, match=f"'{row.name}' does not have this setting"):
                build_trial_config({"model": row.name, name: 1})

    def test_refuses_settings_that_nothing_would_use(self, row):
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            row.build({**row.defaults, "colour": "red"}, 10)

    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_has_one_kind_of_activation(self, row, name):
        model = build_model(row, activation=name)
        assert list_kinds(model, ACTIVATIONS.values()) == {ACTIVATIONS[name]}
        same_number = len(list_layers(build_model(row), nn.ReLU))
        assert len(list_layers(model, ACTIVATIONS[name])) == same_number


@rows_that_have("normalization")
class TestNormalization:
    @pytest.mark.parametrize("name", NORMALIZATIONS)
    def test_has_one_kind_of_normalization(self, row, name):
        model = build_model(row, normalization=name)
        assert list_kinds(model, (nn.BatchNorm2d, nn.GroupNorm)) == NORMALIZATIONS[name]

    @pytest.mark.parametrize("name", NORMALIZATIONS)
    def test_channels_have_one_shift_each(self, row, name):
        model = build_model(row, normalization=name)
        convolutions = list_layers(model, nn.Conv2d)
        normalized = list_layers(model, nn.BatchNorm2d, nn.GroupNorm)
        num_shifts = sum(layer.bias is not None for layer in (*convolutions, *normalized))
        assert num_shifts == len(convolutions)

    @pytest.mark.parametrize("name", ["group", "none"])
    def test_an_image_does_not_depend_on_the_others(self, row, name):
        model, images = build_model(row, normalization=name).train(), draw_images(4)
        torch.testing.assert_close(model(images)[:1], model(images[:1]), rtol=1e-3, atol=1e-4)

    def test_with_batch_normalization_it_does(self, row):
        model, images = build_model(row, normalization="batch").train(), draw_images(4)
        assert not torch.allclose(model(images)[:1], model(images[:1]), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("row", MODELS.values(), ids=MODELS)
class TestDropout:
    def test_zero_is_no_layer(self, row):
        assert not list_layers(build_model(row), Dropout)
        assert [layer.rate for layer in list_layers(build_model(row, dropout=0.4), Dropout)] == [0.4]

    def test_changes_no_weight(self, row):
        with_it, without = build_model(row, dropout=0.4), build_model(row)
        assert all(map(torch.equal, with_it.parameters(), without.parameters()))

    def test_drops_inputs_of_the_last_dense_layer(self, row):
        model = build_model(row, dropout=0.4)
        last, seen = list_layers(model, nn.Linear)[-1], []

        def keep(layer, inputs, output):
            seen.extend((inputs[0], output))

        for layer in (list_layers(model, Dropout)[0], last):
            layer.register_forward_hook(keep)
        model.seed_dropout(0, 0)
        model(draw_images(4))
        assert seen[1] is seen[2]
        assert seen[2].shape == (4, last.in_features)

    def test_is_off_in_evaluation(self, row):
        with_it, without = build_model(row, dropout=0.4).eval(), build_model(row).eval()
        assert torch.equal(with_it(draw_images(4)), without(draw_images(4)))

    def test_a_step_has_masks_of_its_own_whatever_came_before(self, row):
        model, images = build_model(row, **list_others(row)).train(), draw_images(4)
        logits = []
        for step in (0, 1, 1):
            model.seed_dropout(7, step)
            logits.append(model(images))
        again = copy.deepcopy(model)
        again.seed_dropout(7, 1)
        assert torch.equal(logits[1], logits[2])
        assert torch.equal(logits[1], again(images))
        assert not torch.equal(logits[0], logits[1])


@rows_that_have("width")
def test_width_multiplies_channels(row):
    counts = [sum(each.numel() for each in build_model(row, width=width).parameters()) for width in (0.5, 1.0, 2.0)]
    assert 2 < counts[1] / counts[0] < 4.1
    assert 2 < counts[2] / counts[1] < 4.1


@rows_that_have("depth")
def test_depth_adds_layers_of_the_same_number_everywhere(row):
    counts = [len(list_layers(build_model(row, depth=depth), nn.Conv2d, nn.Linear)) for depth in (1, 2, 3)]
    assert counts[2] - counts[1] == counts[1] - counts[0] > 0
