import copy
import pickle

import pytest
import torch
from torch import nn

from trainer.networks.layers import (
    Dropout,
    build_activation,
    build_dropout,
    build_normalization,
    count_groups,
    scale_channels,
)
from trainer.networks.network import Network


def draw(layer, key="key", shape=(50, 40)):
    layer.set_key(key)
    return layer(torch.ones(shape))


@pytest.mark.parametrize(
    ("num_channels", "width", "expected"), [(24, 1.0, 24), (24, 0.5, 12), (16, 0.01, 4), (16, 0.4, 8), (64, 2.5, 160)]
)
def test_channels_are_scaled_to_a_multiple_of_four(num_channels, width, expected):
    assert scale_channels(num_channels, width) == expected


@pytest.mark.parametrize(
    ("num_channels", "num_groups"), [(1, 1), (3, 1), (4, 1), (8, 2), (12, 3), (22, 2), (64, 16), (128, 32), (512, 32)]
)
def test_groups_are_many_and_of_at_least_four_channels(num_channels, num_groups):
    assert count_groups(num_channels) == num_groups


def test_normalization_is_one_layer_or_none():
    assert [type(layer) for layer in build_normalization("batch", 8)] == [nn.BatchNorm2d]
    (group,) = build_normalization("group", 8)
    assert (group.num_groups, group.num_channels) == (2, 8)
    assert build_normalization("none", 8) == []


def test_activations_are_torchs():
    inputs = torch.linspace(-3, 3, 50)
    for name in ("relu", "tanh"):
        assert torch.equal(build_activation(name)(inputs.clone()), getattr(torch, name)(inputs))
    exact = inputs * 0.5 * (1 + torch.erf(inputs / 2**0.5))
    torch.testing.assert_close(build_activation("gelu")(inputs), exact)


class TestDropout:
    def test_keeps_the_rate_and_the_mean(self):
        for rate in (0.1, 0.5, 0.9):
            dropped = draw(Dropout(rate), shape=(1000, 100))
            assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
            # Four standard deviations of the mean of 100,000 draws.
            deviation = (rate * (1 - rate) / 100_000) ** 0.5
            assert (dropped == 0).double().mean().item() == pytest.approx(rate, abs=4 * deviation)
            assert dropped.double().mean().item() == pytest.approx(1, abs=4 * deviation / (1 - rate))

    def test_the_gradient_goes_where_the_features_went(self):
        layer, features = Dropout(0.5), torch.ones(50, 40, requires_grad=True)
        layer.set_key("key")
        dropped = layer(features)
        dropped.sum().backward()
        assert torch.equal(features.grad, dropped)

    def test_keeps_the_kind_of_number(self):
        layer = Dropout(0.5)
        layer.set_key("key")
        assert layer(torch.ones(4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16

    def test_is_off_in_evaluation(self):
        features = torch.ones(3, 3)
        assert Dropout(0.9).eval()(features) is features

    def test_same_key_same_masks_and_each_mask_is_another(self):
        layer = Dropout(0.5)
        first, second = draw(layer), layer(torch.ones(50, 40))
        assert not torch.equal(first, second)
        assert torch.equal(draw(layer), first)
        assert torch.equal(layer(torch.ones(50, 40)), second)
        assert not torch.equal(draw(layer, "other key"), first)

    @pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
    def test_a_copy_goes_on_alike_and_on_its_own(self, make_copy):
        layer = Dropout(0.5)
        draw(layer)
        other = make_copy(layer)
        expected = layer(torch.ones(50, 40))
        assert torch.equal(other(torch.ones(50, 40)), expected)

    def test_has_nothing_to_save(self):
        assert not Dropout(0.5).state_dict()

    def test_does_not_train_without_a_key(self):
        with pytest.raises(RuntimeError, match="call seed_dropout on the network"):
            Dropout(0.5)(torch.ones(3, 3))

    def test_leaves_the_global_generator_alone(self):
        before = torch.get_rng_state()
        expected = draw(Dropout(0.5))
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        assert torch.equal(draw(Dropout(0.5)), expected)

    def test_rate_zero_is_no_layer(self):
        assert build_dropout(0.0) == []
        assert [layer.rate for layer in build_dropout(0.25)] == [0.25]


class TestSeed:
    """`Network.seed_dropout`."""

    def build_masks(self, seed, step):
        network = Network()
        network.layers = nn.Sequential(Dropout(0.5), nn.Sequential(Dropout(0.5)))
        network.seed_dropout(seed, step)
        first, second = network.layers
        return first(torch.ones(50, 40)), second(torch.ones(50, 40))

    def test_every_layer_seed_and_step_has_masks_of_its_own(self):
        masks = [
            mask for seed, step in ((0, 0), (0, 1), (1, 0), (1, 11), (11, 1)) for mask in self.build_masks(seed, step)
        ]
        assert len({mask.numpy().tobytes() for mask in masks}) == len(masks)

    def test_same_seed_and_step_same_masks(self):
        assert all(map(torch.equal, self.build_masks(3, 4), self.build_masks(3, 4)))
