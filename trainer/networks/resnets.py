"""Residual networks, and the plain ones that they are measured against.

Shapes: N images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from trainer.networks.layers import build_activation, build_dropout, build_normalization, scale_channels
from trainer.networks.network import Network

Shortcut = Literal["none", "pad", "project"]


class ResNet(Network):
    """A 3x3 stem, stages of basic blocks, the mean over the image, one dense layer.

    Every stage but the first halves the image, in its first convolution.

    Source: He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385 for three stages and shortcuts "pad", whose
    plain networks have shortcuts "none"; its table 1 for four stages and "project". The latter is torchvision's resnet
    but for the stem, which there is a 7x7 convolution and a pool that leave 8x8 pixels of an image of 32x32.

    Args:
        num_classes: Outputs.
        channels: Of each stage; the stem has those of the first.
        shortcut: What is added to the output of a block. "none" for nothing; else its input, where the shapes differ
            "pad" for every other pixel with channels of zeros added (option A), "project" for a 1x1 convolution of it,
            normalised (option B).
        width: Multiplies the channels everywhere; the product is rounded to a multiple of 4, at least 4.
        depth: Blocks per stage, of two convolutions each.
        activation: After the stem, within and after each block: relu, tanh or gelu.
        normalization: After every convolution: batch, group or none.
        dropout: Probability that a feature of the last block is left out of a training step.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        channels: Sequence[int],
        shortcut: Shortcut,
        width: float,
        depth: int,
        activation: str,
        normalization: str,
        dropout: float,
    ) -> None:
        super().__init__()
        num_inputs = scale_channels(channels[0], width)
        layers = [*_build_convolution(3, num_inputs, 3, 1, normalization), build_activation(activation)]
        for stage, num_outputs in enumerate(scale_channels(each, width) for each in channels):
            for index in range(depth):
                stride = 2 if stage and not index else 1
                layers.append(BasicBlock(num_inputs, num_outputs, stride, shortcut, activation, normalization))
                num_inputs = num_outputs
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Sequential(*build_dropout(dropout))
        self.head = nn.Linear(num_inputs, num_classes)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised images."""
        features_NC: Tensor = self.features(images_NCHW).mean((2, 3))
        logits_NK: Tensor = self.head(self.dropout(features_NC))
        return logits_NK


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each normalised, with an activation between; then the shortcut, then an activation.

    Args:
        num_inputs: Channels.
        num_outputs: Channels.
        stride: Of the first convolution: 2 halves the image.
        shortcut: As for `ResNet`.
        activation: As for `ResNet`.
        normalization: As for `ResNet`.
    """

    def __init__(
        self, num_inputs: int, num_outputs: int, stride: int, shortcut: Shortcut, activation: str, normalization: str
    ) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_build_convolution(num_inputs, num_outputs, 3, stride, normalization),
            build_activation(activation),
            *_build_convolution(num_outputs, num_outputs, 3, 1, normalization),
        )
        self.shortcut: nn.Module | None
        if shortcut == "none":
            self.shortcut = None
        elif stride == 1 and num_inputs == num_outputs:
            self.shortcut = nn.Identity()
        elif shortcut == "pad":
            self.shortcut = PaddedShortcut(num_outputs - num_inputs, stride)
        else:
            self.shortcut = nn.Sequential(*_build_convolution(num_inputs, num_outputs, 1, stride, normalization))
        self.activation = build_activation(activation)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The block's output_NCHW."""
        output_NCHW: Tensor = self.convolutions(images_NCHW)
        if self.shortcut is not None:
            output_NCHW = output_NCHW + self.shortcut(images_NCHW)
        activated_NCHW: Tensor = self.activation(output_NCHW)
        return activated_NCHW


class PaddedShortcut(nn.Module):
    """Every other pixel of both directions, and channels of zeros after its own: a shortcut without weights.

    Args:
        num_added: Channels of zeros.
        stride: 2 for every other pixel, 1 for all.
    """

    def __init__(self, num_added: int, stride: int) -> None:
        super().__init__()
        self.num_added = num_added
        self.stride = stride

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The images_NCHW in the shape of the block's output."""
        thinned_NCHW = images_NCHW[:, :, :: self.stride, :: self.stride]
        return functional.pad(thinned_NCHW, (0, 0, 0, 0, 0, self.num_added))


def _build_convolution(
    num_inputs: int, num_outputs: int, side: int, stride: int, normalization: str
) -> list[nn.Module]:
    """A convolution that keeps the image's size but for its stride, and what normalises it."""
    convolution = nn.Conv2d(
        num_inputs, num_outputs, side, stride=stride, padding=side // 2, bias=normalization == "none"
    )
    return [convolution, *build_normalization(normalization, num_outputs)]
