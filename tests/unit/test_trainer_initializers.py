import pytest
import torch
from torch import nn

from trainer.initializers import INITIALIZERS, initialize


def test_the_table_has_glorot_and_he():
    assert list(INITIALIZERS) == ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "torch_default"]


def test_layer_that_no_rule_covers_is_refused_by_name():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    with pytest.raises(TypeError, match="weights of 1, a LayerNorm"):
        initialize(model, INITIALIZERS["he_normal"], torch.Generator())


def test_layers_without_bias_and_without_weights_are_fine():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    initialize(model, INITIALIZERS["he_normal"], torch.Generator().manual_seed(1))
    assert model[0].weight.any()
