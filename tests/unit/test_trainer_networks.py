import pytest
import torch
from torch import nn

from trainer.networks import CNN3C3D, FastCNN


def list_channels(model):
    return [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def test_fastcnn_has_a_stem_and_three_stages():
    assert list_channels(FastCNN(10, width=1.0, depth=2)) == [24, 32, 32, 64, 64, 128, 128]


@pytest.mark.parametrize(
    ("width", "depth", "channels"),
    [(0.5, 1, [12, 16, 32, 64]), (2.0, 1, [48, 64, 128, 256]), (0.01, 3, [4] * 10)],
)
def test_fastcnn_width_and_depth(width, depth, channels):
    assert list_channels(FastCNN(10, width=width, depth=depth)) == channels


def test_fastcnn_pools_before_normalization():
    kinds = [type(layer).__name__ for layer in FastCNN(10, width=1.0, depth=1).features]
    first = kinds.index("MaxPool2d")
    assert kinds[first - 1 : first + 3] == ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"]


def test_cnn3c3d_halves_the_picture_as_tensorflow_does():
    model = CNN3C3D(10, l2_penalty=0.0)
    images, sides = torch.zeros(1, 3, 32, 32), []
    for layer in model.features:
        images = layer(images)
        sides.append(images.shape[-1])
    assert sides == [28, 14, 14, 12, 6, 6, 6, 3, 3]


def test_cnn3c3d_penalty_is_half_the_sum_of_squared_weights_without_biases():
    model = CNN3C3D(10, l2_penalty=0.002)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    num_weights = sum(each.numel() for each in model.parameters() if each.ndim > 1)
    assert model.penalty().item() == pytest.approx(0.001 * num_weights * 0.01)


def test_no_penalty_costs_nothing():
    assert CNN3C3D(10, l2_penalty=0.0).penalty() is None
    assert FastCNN(10, width=1.0, depth=2).penalty() is None
