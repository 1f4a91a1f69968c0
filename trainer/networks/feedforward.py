"""The networks of the table of models that are one stack of layers; those with stages of blocks are in `resnets`.

Shapes: N images, C channels, H rows, W columns, F features, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.networks.layers import build_activation, build_dropout, build_normalization, scale_channels
from trainer.networks.network import Network


class FastCNN(Network):
    """Stem of 24 channels, then three stages that halve the image, of 32, 64 and 128 channels.

    In the first convolution of a stage the pooling comes straight after the convolution, before normalisation and
    activation, which then work on a quarter of the pixels. Pooling and ReLU or tanh, which never fall, may trade places
    without changing the result; GELU falls below -0.75, and normalisation has other means of other pixels: for them
    the order is part of what the network is.

    Args:
        num_classes: Outputs.
        width: Multiplies the channels everywhere; the product is rounded to a multiple of 4, at least 4.
        depth: Convolutions per stage.
        activation: After every convolution: relu, tanh or gelu.
        normalization: After every convolution but the stem: batch, group or none.
        dropout: Probability that a feature of the last layer is left out of a training step.
    """

    def __init__(
        self, num_classes: int, *, width: float, depth: int, activation: str, normalization: str, dropout: float
    ) -> None:
        super().__init__()
        stem, *stages = (scale_channels(channels, width) for channels in (24, 32, 64, 128))
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 3, padding=1), build_activation(activation)]
        num_inputs = stem
        for num_outputs in stages:
            for index in range(depth):
                layers.append(nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=normalization == "none"))
                if index == 0:
                    layers.append(nn.MaxPool2d(2))
                layers += [*build_normalization(normalization, num_outputs), build_activation(activation)]
                num_inputs = num_outputs
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Sequential(*build_dropout(dropout))
        self.head = nn.Linear(num_inputs, num_classes)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised images."""
        features_NC: Tensor = self.features(images_NCHW).mean((2, 3))
        logits_NK: Tensor = self.head(self.dropout(features_NC))
        return logits_NK


class CNN3C3D(Network):
    """Three convolutions, three dense layers, no normalisation; 895,210 weights for ten classes.

    The pools have TensorFlow's padding "same": their windows may reach past the right and lower edge. They come before
    the activation, which for GELU alone is not the same as after it.

    Args:
        num_classes: Outputs.
        l2_penalty: Factor of half the sum of squares of all weights, biases left out, in the training loss.
        activation: After every layer but the last: relu, which DeepOBS has, tanh or gelu.
        dropout: Probability that a feature of the last layer is left out of a training step; DeepOBS has none.
    """

    def __init__(self, num_classes: int, *, l2_penalty: float, activation: str, dropout: float) -> None:
        super().__init__()
        self.l2_penalty = l2_penalty
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 5),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            build_activation(activation),
            nn.Conv2d(64, 96, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            build_activation(activation),
            nn.Conv2d(96, 128, 3, padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            build_activation(activation),
        )
        self.head = nn.Sequential(
            nn.Linear(128 * 3 * 3, 512),
            build_activation(activation),
            nn.Linear(512, 256),
            build_activation(activation),
            *build_dropout(dropout),
            nn.Linear(256, num_classes),
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised images."""
        logits_NK: Tensor = self.head(self.features(images_NCHW).flatten(1))
        return logits_NK

    def penalty(self) -> Tensor | None:
        """The L2 penalty, None when its factor is zero."""
        if not self.l2_penalty:
            return None
        weights = [layer.weight for layer in self.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        return 0.5 * self.l2_penalty * torch.stack([weight.square().sum() for weight in weights]).sum()


class MLP(Network):
    """The pixels as one vector, through dense layers of equal size; sees nothing of what is beside what.

    Args:
        num_classes: Outputs.
        width: Multiplies the units of each hidden layer; the product is rounded, to at least 1.
        depth: Hidden layers.
        hidden: Units of each hidden layer at width 1.
        activation: After every layer but the last: relu, tanh or gelu.
        dropout: Probability that a unit of the last hidden layer is left out of a training step.
    """

    def __init__(
        self, num_classes: int, *, width: float, depth: int, hidden: int, activation: str, dropout: float
    ) -> None:
        super().__init__()
        num_outputs = max(1, round(width * hidden))
        num_inputs = 3 * 32 * 32
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(num_inputs, num_outputs), build_activation(activation)]
            num_inputs = num_outputs
        self.layers = nn.Sequential(*layers, *build_dropout(dropout), nn.Linear(num_inputs, num_classes))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised images."""
        logits_NK: Tensor = self.layers(images_NCHW.flatten(1))
        return logits_NK
