import pytest
from torch import nn

from trainer.networks.layers import Dropout
from trainer.tables.models import MODELS


def build(name, **settings):
    return MODELS[name].build({**MODELS[name].defaults, **settings}, 10)


def test_the_table_has_its_models():
    assert list(MODELS) == ["fastcnn", "cnn3c3d", "resnet20", "resnet18", "plain", "mlp"]


def test_settings_reach_the_networks():
    assert build("fastcnn", width=0.5, depth=1).head.in_features == 64
    assert build("cnn3c3d", l2_penalty=0.002).l2_penalty == 0.002
    assert build("resnet20", width=2.0).head.in_features == 128
    assert build("resnet18", width=0.5).head.in_features == 256
    assert build("plain", width=0.5).head.in_features == 32
    assert build("mlp", hidden=100, width=0.5).layers[0].out_features == 50


@pytest.mark.parametrize("name", MODELS)
def test_the_published_networks_are_the_defaults(name):
    model = build(name)
    kinds = {type(layer) for layer in model.modules()}
    assert not kinds & {nn.Tanh, nn.GELU, nn.GroupNorm, Dropout}
    assert (nn.BatchNorm2d in kinds) == (name in ("fastcnn", "resnet20", "resnet18"))


@pytest.mark.parametrize(("depth", "layers"), [(1, 8), (2, 14), (3, 20), (18, 110)])
@pytest.mark.parametrize("name", ["resnet20", "plain"])
def test_depth_counts_blocks_per_stage(name, depth, layers):
    weighted = [layer for layer in build(name, depth=depth).modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weighted) == layers
