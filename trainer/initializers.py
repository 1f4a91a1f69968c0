"""Table of initialisers: how the weights of convolutions and dense layers are drawn.

Biases start at zero, normalisation layers at scale one and shift zero, whatever the initialiser. Weights are drawn in
the order of the layers from one generator on the CPU, so that one seed gives the same weights on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.settings import Row

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

FillWeight = Callable[["Tensor", "torch.Generator"], None]


@dataclass(frozen=True)
class InitializerRow(Row):
    """One initialiser.

    Attributes:
        build: (weight, generator) to nothing; fills the weight of one layer, shaped (outputs, inputs, ...), in place.
    """

    build: FillWeight


def _fill_glorot_uniform(weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    nn.init.xavier_uniform_(weight, generator=generator)


def _fill_glorot_normal(weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    nn.init.xavier_normal_(weight, generator=generator)


def _fill_he_uniform(weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    nn.init.kaiming_uniform_(weight, mode="fan_in", nonlinearity="relu", generator=generator)


def _fill_he_normal(weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu", generator=generator)


def _fill_torch_default(weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


_GLOROT = "Glorot and Bengio 2010, equation {}, https://proceedings.mlr.press/v9/glorot10a.html; torch.nn.init.{}"
_HE = "He et al. 2015, equation 10, https://arxiv.org/abs/1502.01852; torch.nn.init.{}"

_ROWS = (
    InitializerRow(
        name="glorot_uniform",
        description="Uniform with variance 2 / (inputs + outputs)",
        source=_GLOROT.format("16", "xavier_uniform_"),
        settings=(),
        build=_fill_glorot_uniform,
    ),
    InitializerRow(
        name="glorot_normal",
        description="Normal with variance 2 / (inputs + outputs)",
        source=_GLOROT.format("12", "xavier_normal_"),
        settings=(),
        build=_fill_glorot_normal,
    ),
    InitializerRow(
        name="he_uniform",
        description="Uniform with variance 2 / inputs, made for ReLU",
        source=_HE.format("kaiming_uniform_"),
        settings=(),
        build=_fill_he_uniform,
    ),
    InitializerRow(
        name="he_normal",
        description="Normal with variance 2 / inputs, made for ReLU; not truncated, unlike that of Keras",
        source=_HE.format("kaiming_normal_"),
        settings=(),
        build=_fill_he_normal,
    ),
    InitializerRow(
        name="torch_default",
        description="Uniform with variance 1 / (3 inputs), as torch's own layers draw their weights",
        source="torch.nn.Conv2d and torch.nn.Linear, https://docs.pytorch.org/docs/stable/nn.html; biases are zero as "
        "under all initialisers here, where torch draws those as well",
        settings=(),
        build=_fill_torch_default,
    ),
)

INITIALIZERS: Mapping[str, InitializerRow] = {row.name: row for row in _ROWS}


def initialize(model: nn.Module, row: InitializerRow, generator: torch.Generator) -> None:
    """Draws every weight of a model anew, in the order of its layers.

    Args:
        model: On the CPU, made of convolutions, dense layers, batch normalisation and layers without weights.
        row: How to fill the weights of convolutions and dense layers.
        generator: A CPU generator, the only source of chance.

    Raises:
        TypeError: The model has a layer with weights of another kind.
    """
    from torch import nn

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            row.build(layer.weight, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        elif any(True for _ in layer.parameters(recurse=False)):
            raise TypeError(f"no rule to initialise the weights of {name}, a {type(layer).__name__}; add one here")
