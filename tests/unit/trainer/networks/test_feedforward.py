import pytest
import torch
from torch import nn

from trainer.networks.feedforward import CNN3C3D, MLP, FastCNN
from trainer.networks.layers import Dropout

OPTIONS = {"activation": "relu", "dropout": 0.0}


def build_fastcnn(**settings):
    return FastCNN(10, **{"width": 1.0, "depth": 2, "normalization": "batch", **OPTIONS, **settings})


def build_cnn3c3d(**settings):
    return CNN3C3D(10, **{"l2_penalty": 0.0, **OPTIONS, **settings})


def build_mlp(**settings):
    return MLP(10, **{"width": 1.0, "depth": 2, "hidden": 512, **OPTIONS, **settings})


def draw_images():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def list_channels(model):
    return [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def test_fastcnn_has_a_stem_and_three_stages():
    assert list_channels(build_fastcnn()) == [24, 32, 32, 64, 64, 128, 128]


@pytest.mark.parametrize(
    ("width", "depth", "channels"),
    [(0.5, 1, [12, 16, 32, 64]), (2.0, 1, [48, 64, 128, 256]), (0.01, 3, [4] * 10)],
)
def test_fastcnn_width_and_depth(width, depth, channels):
    assert list_channels(build_fastcnn(width=width, depth=depth)) == channels


def test_fastcnn_pools_before_normalization():
    kinds = [type(layer).__name__ for layer in build_fastcnn(depth=1).features]
    first = kinds.index("MaxPool2d")
    assert kinds[first - 1 : first + 3] == ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"]


def test_cnn3c3d_halves_the_image_as_tensorflow_does():
    model = build_cnn3c3d()
    images, sides = torch.zeros(1, 3, 32, 32), []
    for layer in model.features:
        images = layer(images)
        sides.append(images.shape[-1])
    assert sides == [28, 14, 14, 12, 6, 6, 6, 3, 3]


def test_cnn3c3d_penalty_is_half_the_sum_of_squared_weights_without_biases():
    model = build_cnn3c3d(l2_penalty=0.002)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    num_weights = sum(each.numel() for each in model.parameters() if each.ndim > 1)
    assert model.penalty().item() == pytest.approx(0.001 * num_weights * 0.01)


def test_no_penalty_costs_nothing():
    assert build_cnn3c3d().penalty() is None
    assert build_fastcnn().penalty() is None


def test_fastcnn_is_by_default_what_it_has_always_been():
    layers = [nn.Conv2d(3, 24, 3, padding=1), nn.ReLU()]
    for num_inputs, num_outputs in ((24, 32), (32, 64), (64, 128)):
        layers += [
            nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(num_outputs),
            nn.ReLU(),
            nn.Conv2d(num_outputs, num_outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(num_outputs),
            nn.ReLU(),
        ]
    assert_same(
        build_fastcnn(), {"features": nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten()), "head": nn.Linear(128, 10)}
    )


def test_cnn3c3d_is_by_default_what_it_has_always_been():
    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 5), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()),
        *(nn.Conv2d(64, 96, 3), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()),
        *(nn.Conv2d(96, 128, 3, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()),
        nn.Flatten(),
    )
    head = nn.Sequential(nn.Linear(1152, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    assert_same(build_cnn3c3d(), {"features": features, "head": head})


def assert_same(model, parts):
    """Same names of weights in the same order, so that checkpoints fit and draws agree, and the same logits."""
    straight = nn.Sequential()
    for name, part in parts.items():
        straight.add_module(name, part)
    assert list(model.state_dict()) == list(straight.state_dict())
    straight.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(draw_images()), straight.eval()(draw_images()))


def test_fastcnn_is_defined_with_the_pool_before_the_activation():
    for activation, commutes in (("relu", True), ("tanh", True), ("gelu", False)):
        layers = build_fastcnn(activation=activation, normalization="none").features
        start = [type(layer) for layer in layers].index(nn.MaxPool2d)
        pool, act = layers[start : start + 2]
        images = draw_images()
        assert torch.equal(act(pool(images)), pool(act(images.clone()))) == commutes


@pytest.mark.parametrize(("normalization", "has_bias"), [("batch", False), ("group", False), ("none", True)])
def test_fastcnn_convolutions_have_a_bias_where_nothing_else_shifts(normalization, has_bias):
    stem, *others = (
        layer for layer in build_fastcnn(normalization=normalization).features if isinstance(layer, nn.Conv2d)
    )
    assert stem.bias is not None
    assert {layer.bias is not None for layer in others} == {has_bias}


def test_cnn3c3d_dropout_stands_before_the_last_layer():
    kinds = [type(layer).__name__ for layer in build_cnn3c3d(dropout=0.5).head]
    assert kinds == ["Linear", "ReLU", "Linear", "ReLU", "Dropout", "Linear"]


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({}, [3072, 512, 512, 10]),
        ({"depth": 1, "hidden": 100}, [3072, 100, 10]),
        ({"depth": 3, "width": 0.25}, [3072, 128, 128, 128, 10]),
        ({"hidden": 3, "width": 0.1}, [3072, 1, 1, 10]),
    ],
)
def test_mlp_has_hidden_layers_of_one_size(settings, sizes):
    layers = [layer for layer in build_mlp(**settings).layers if isinstance(layer, nn.Linear)]
    assert [layers[0].in_features, *(layer.out_features for layer in layers)] == sizes


def test_mlp_is_dense_layers_on_the_flat_image():
    model = build_mlp(activation="tanh", depth=1, dropout=0.5).eval()
    kinds = [type(layer) for layer in model.layers]
    assert kinds == [nn.Linear, nn.Tanh, Dropout, nn.Linear]
    first, last = model.layers[0], model.layers[-1]
    hidden = torch.tanh(draw_images().reshape(4, -1) @ first.weight.T + first.bias)
    torch.testing.assert_close(model(draw_images()), hidden @ last.weight.T + last.bias)
