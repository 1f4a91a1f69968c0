"""Table of models: networks for 32x32 RGB images. The networks are in `trainer.networks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from trainer.tables.settings import Row, Setting, Value

if TYPE_CHECKING:
    from trainer.networks.network import Network

BuildModel = Callable[[Mapping[str, Value], int], "Network"]


@dataclass(frozen=True)
class ModelRow(Row):
    """One model.

    Attributes:
        build: (settings, num_classes) to the network, on the CPU, with weights that are still to be initialised.
    """

    build: BuildModel


@dataclass(frozen=True)
class _Network:
    """Makes a network; rows of it compare and pickle as values.

    Attributes:
        place: `module:name` of the class in `trainer.networks`, which has an argument for each setting and no other.
        fixed: Arguments that no setting gives.
    """

    place: str
    fixed: tuple[tuple[str, Any], ...] = ()

    def __call__(self, settings: Mapping[str, Value], num_classes: int) -> Network:
        module, _, name = self.place.partition(":")
        build = getattr(import_module(f"trainer.networks.{module}"), name)
        network: Network = build(num_classes, **dict(self.fixed), **settings)
        return network


def _width(of: str) -> Setting:
    return Setting("width", f"Multiplies the {of}", "float", 1.0, low=0, low_open=True, high=16)


def _normalization(default: str) -> Setting:
    return Setting(
        "normalization",
        "After the convolutions: batch, group (up to 32 groups, of at least 4 channels) or none",
        "str",
        default,
        choices=("batch", "group", "none"),
    )


_ACTIVATION = Setting(
    "activation",
    "What follows every layer but the last: relu, tanh or gelu",
    "str",
    "relu",
    choices=("relu", "tanh", "gelu"),
)
_DROPOUT = Setting(
    "dropout",
    "Probability that an input of the last layer is left out of a training step; 0 for none",
    "float",
    0.0,
    low=0,
    high=1,
    high_open=True,
)
_HE = "He et al. 2016, {}, https://arxiv.org/abs/1512.03385"

_ROWS = (
    ModelRow(
        name="fastcnn",
        description="Three stages of 3x3 convolutions with batch normalisation, 0.3 M weights: fast on one CPU core",
        source="After Jordan 2024, section 3, https://arxiv.org/abs/2404.00498: narrower, a trained 3x3 stem, ReLU, "
        "and mean pooling at the end",
        settings=(
            _width("channels of every stage (24, then 32, 64, 128)"),
            Setting("depth", "Convolutions per stage", "int", 2, low=1, high=16),
            _ACTIVATION,
            _normalization("batch"),
            _DROPOUT,
        ),
        build=_Network("feedforward:FastCNN"),
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
            _ACTIVATION,
            _DROPOUT,
        ),
        build=_Network("feedforward:CNN3C3D"),
    ),
    ModelRow(
        name="resnet20",
        description="He's residual network for CIFAR-10: three stages of basic blocks, 0.27 M weights",
        source=_HE.format("section 4.2") + "; shortcuts without weights (option A), zeros after the channels there are",
        settings=(
            _width("channels of every stage (16, 32, 64)"),
            Setting(
                "depth", "Blocks of two convolutions per stage; 6 depth + 2 layers in all", "int", 3, low=1, high=200
            ),
            _ACTIVATION,
            _normalization("batch"),
            _DROPOUT,
        ),
        build=_Network("resnets:ResNet", (("channels", (16, 32, 64)), ("shortcut", "pad"))),
    ),
    ModelRow(
        name="resnet18",
        description="ImageNet's smallest residual network with a stem for small images, 11.2 M weights: wants a GPU",
        source=_HE.format("table 1") + "; torchvision.models.resnet18 with a 3x3 stem of stride 1 and no first pool",
        settings=(
            _width("channels of every stage (64, 128, 256, 512)"),
            _ACTIVATION,
            _normalization("batch"),
            _DROPOUT,
        ),
        build=_Network("resnets:ResNet", (("channels", (64, 128, 256, 512)), ("shortcut", "project"), ("depth", 2))),
    ),
    ModelRow(
        name="plain",
        description="resnet20 without shortcuts and normalisation, 0.27 M weights: its gradients vanish as depth grows",
        source=_HE.format("section 4.2") + ", the plain networks, which have batch normalisation there",
        settings=(
            _width("channels of every stage (16, 32, 64)"),
            Setting("depth", "Pairs of convolutions per stage; 6 depth + 2 layers in all", "int", 3, low=1, high=200),
            _ACTIVATION,
            _normalization("none"),
            _DROPOUT,
        ),
        build=_Network("resnets:ResNet", (("channels", (16, 32, 64)), ("shortcut", "none"))),
    ),
    ModelRow(
        name="mlp",
        description="Two dense hidden layers on the pixels as one vector, 1.8 M weights, without normalisation",
        source="After Rumelhart, Hinton and Williams 1986, https://doi.org/10.1038/323533a0, with ReLU",
        settings=(
            _width("units of every hidden layer"),
            Setting("depth", "Hidden layers", "int", 2, low=1, high=200),
            Setting(
                "hidden", "Units of every hidden layer, before width multiplies them", "int", 512, low=1, high=65536
            ),
            _ACTIVATION,
            _DROPOUT,
        ),
        build=_Network("feedforward:MLP"),
    ),
)

MODELS: Mapping[str, ModelRow] = {row.name: row for row in _ROWS}
