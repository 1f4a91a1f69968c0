"""The networks of the table of models.

Shapes: N pictures, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """A classifier of 32x32 RGB pictures."""

    def penalty(self) -> Tensor | None:
        """What the training loss gains beside the loss of the pictures, None for nothing."""
        return None


class FastCNN(Network):
    """Stem of 24 channels, then three stages that halve the picture, of 32, 64 and 128 channels.

    In the first convolution of a stage the pooling comes straight after the convolution, before normalisation and ReLU,
    which then work on a quarter of the pixels. (Pooling and ReLU may trade places without changing the result.)

    Args:
        num_classes: Outputs.
        width: Multiplies the channels everywhere; the product is rounded to a multiple of 4, at least 4.
        depth: Convolutions per stage.
    """

    def __init__(self, num_classes: int, *, width: float, depth: int) -> None:
        super().__init__()
        stem, *stages = (max(4, 4 * round(width * channels / 4)) for channels in (24, 32, 64, 128))
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 3, padding=1), nn.ReLU(inplace=True)]
        num_inputs = stem
        for num_outputs in stages:
            for index in range(depth):
                # The normalisation that follows has a shift of its own, so the convolution needs no bias.
                layers.append(nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False))
                if index == 0:
                    layers.append(nn.MaxPool2d(2))
                layers += [nn.BatchNorm2d(num_outputs), nn.ReLU(inplace=True)]
                num_inputs = num_outputs
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(num_inputs, num_classes)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised pictures."""
        features_NC: Tensor = self.features(images_NCHW).mean((2, 3))
        logits_NK: Tensor = self.head(features_NC)
        return logits_NK


class CNN3C3D(Network):
    """Three convolutions, three dense layers, ReLU, no normalisation; 895,210 weights for ten classes.

    The pools have TensorFlow's padding "same": their windows may reach past the right and lower edge.

    Args:
        num_classes: Outputs.
        l2_penalty: Factor of half the sum of squares of all weights, biases left out, in the training loss.
    """

    def __init__(self, num_classes: int, *, l2_penalty: float) -> None:
        super().__init__()
        self.l2_penalty = l2_penalty
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 5),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 96, 3),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(96, 128, 3, padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(
            nn.Linear(128 * 3 * 3, 512),
            nn.ReLU(inplace=True),
            nn.Linear(512, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, num_classes),
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised pictures."""
        logits_NK: Tensor = self.head(self.features(images_NCHW).flatten(1))
        return logits_NK

    def penalty(self) -> Tensor | None:
        """The L2 penalty, None when its factor is zero."""
        if not self.l2_penalty:
            return None
        weights = [layer.weight for layer in self.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        return 0.5 * self.l2_penalty * torch.stack([weight.square().sum() for weight in weights]).sum()
