"""Table of models: networks for 32x32 RGB pictures. The networks themselves are in `trainer.networks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.settings import Row, Setting, Value, get_float, get_int

if TYPE_CHECKING:
    from trainer.networks import Network

BuildModel = Callable[[Mapping[str, Value], int], "Network"]


@dataclass(frozen=True)
class ModelRow(Row):
    """One model.

    Attributes:
        build: (settings, num_classes) to the network, on the CPU, with weights that are still to be initialised.
    """

    build: BuildModel


def _build_fastcnn(settings: Mapping[str, Value], num_classes: int) -> Network:
    from trainer.networks import FastCNN

    return FastCNN(num_classes, width=get_float(settings, "width"), depth=get_int(settings, "depth"))


def _build_cnn3c3d(settings: Mapping[str, Value], num_classes: int) -> Network:
    from trainer.networks import CNN3C3D

    return CNN3C3D(num_classes, l2_penalty=get_float(settings, "l2_penalty"))


_ROWS = (
    ModelRow(
        name="fastcnn",
        description="Three stages of 3x3 convolutions with batch normalisation, 0.3 M weights: fast on one CPU core",
        source="After Jordan 2024, section 3, https://arxiv.org/abs/2404.00498: narrower, a trained 3x3 stem, ReLU, "
        "and mean pooling at the end",
        settings=(
            Setting(
                "width",
                "Multiplies the channels of every stage (24, then 32, 64, 128)",
                "float",
                1.0,
                low=0,
                low_open=True,
                high=16,
            ),
            Setting("depth", "Convolutions per stage", "int", 2, low=1, high=16),
        ),
        build=_build_fastcnn,
    ),
    ModelRow(
        name="cnn3c3d",
        description="DeepOBS's three convolutions and three dense layers, 0.9 M weights, without normalisation",
        source="Schneider, Balles and Hennig 2019, cifar10_3c3d, https://openreview.net/forum?id=rJg6ssC5Y7",
        settings=(
            Setting(
                "l2_penalty",
                "L2 penalty on weights, not biases, inside the training loss; DeepOBS has 0.002",
                "float",
                0.0,
                low=0,
            ),
        ),
        build=_build_cnn3c3d,
    ),
)

MODELS: Mapping[str, ModelRow] = {row.name: row for row in _ROWS}
