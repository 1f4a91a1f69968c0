"""Table of initialisers: how the weights of convolutions and dense layers are drawn.

Biases start at zero, normalisation layers at scale one and shift zero, whatever the initialiser. Weights are drawn in
the order of the layers from one generator on the CPU, so that one seed gives the same weights on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.tables.settings import Row, Setting, Value, get_float

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

FillWeight = Callable[[Mapping[str, Value], "Tensor", "torch.Generator"], None]


@dataclass(frozen=True)
class InitializerRow(Row):
    """One initialiser.

    Attributes:
        build: (settings, weight, generator) to nothing; fills the weight of one layer, shaped (outputs, inputs, ...),
            in place.
    """

    build: FillWeight


@dataclass(frozen=True)
class _Torch:
    """The function of that name in torch.nn.init, with fixed arguments; rows of it compare and pickle as values."""

    name: str
    fixed: tuple[tuple[str, str | float], ...] = ()

    def __call__(self, settings: Mapping[str, Value], weight: Tensor, generator: torch.Generator) -> None:
        from torch import nn

        del settings  # has none
        getattr(nn.init, self.name)(weight, generator=generator, **dict(self.fixed))


def _fill_orthogonal(settings: Mapping[str, Value], weight: Tensor, generator: torch.Generator) -> None:
    import torch

    del settings  # has none
    # In double precision, since the last bits of a factorisation depend on the number of threads.
    exact = torch.nn.init.orthogonal_(torch.empty(weight.shape, dtype=torch.float64), generator=generator)
    with torch.no_grad():
        weight.copy_(exact)


def _fill_zeros(settings: Mapping[str, Value], weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    del settings, generator  # has none, and leaves nothing to chance
    nn.init.zeros_(weight)


def _fill_normal(settings: Mapping[str, Value], weight: Tensor, generator: torch.Generator) -> None:
    from torch import nn

    nn.init.normal_(weight, std=get_float(settings, "init_std"), generator=generator)


_GLOROT = "Glorot and Bengio 2010, equation {}, https://proceedings.mlr.press/v9/glorot10a.html; torch.nn.init.{}"
_HE = "He et al. 2015, equation 10, https://arxiv.org/abs/1502.01852; torch.nn.init.{}"

# Aliases are the names of Keras, class and function, and of torch, with and without its underscore. torch's normal_ is
# none of them: its standard deviation is 1 where none is given.
_ROWS = (
    InitializerRow(
        name="glorot_uniform",
        description="Uniform with variance 2 / (inputs + outputs)",
        source=_GLOROT.format("16", "xavier_uniform_"),
        settings=(),
        aliases=("GlorotUniform", "xavier_uniform", "xavier_uniform_"),
        build=_Torch("xavier_uniform_"),
    ),
    InitializerRow(
        name="glorot_normal",
        description="Normal with variance 2 / (inputs + outputs)",
        source=_GLOROT.format("12", "xavier_normal_"),
        settings=(),
        aliases=("GlorotNormal", "xavier_normal", "xavier_normal_"),
        build=_Torch("xavier_normal_"),
    ),
    InitializerRow(
        name="he_uniform",
        description="Uniform with variance 2 / inputs, made for ReLU",
        source=_HE.format("kaiming_uniform_"),
        settings=(),
        aliases=("HeUniform", "kaiming_uniform", "kaiming_uniform_"),
        build=_Torch("kaiming_uniform_", (("mode", "fan_in"), ("nonlinearity", "relu"))),
    ),
    InitializerRow(
        name="he_normal",
        description="Normal with variance 2 / inputs, made for ReLU; not truncated, unlike that of Keras",
        source=_HE.format("kaiming_normal_"),
        settings=(),
        aliases=("HeNormal", "kaiming_normal", "kaiming_normal_"),
        build=_Torch("kaiming_normal_", (("mode", "fan_in"), ("nonlinearity", "relu"))),
    ),
    InitializerRow(
        name="torch_default",
        description="Uniform with variance 1 / (3 inputs), as torch's own layers draw their weights",
        source="torch.nn.Conv2d and torch.nn.Linear, https://docs.pytorch.org/docs/stable/nn.html; biases are zero as "
        "under all initialisers here, where torch draws those as well",
        settings=(),
        build=_Torch("kaiming_uniform_", (("a", math.sqrt(5)),)),
    ),
    InitializerRow(
        name="lecun_normal",
        description="Normal with variance 1 / inputs; not truncated, unlike that of Keras",
        source="LeCun et al. 1998, section 4.6, https://doi.org/10.1007/3-540-49430-8_2",
        settings=(),
        aliases=("LecunNormal",),
        build=_Torch("kaiming_normal_", (("mode", "fan_in"), ("nonlinearity", "linear"))),
    ),
    InitializerRow(
        name="orthogonal",
        description="Random orthogonal matrix of outputs by inputs: its rows, or its columns, are orthonormal",
        source="Saxe, McClelland and Ganguli 2014, https://arxiv.org/abs/1312.6120; torch.nn.init.orthogonal_",
        settings=(),
        aliases=("Orthogonal", "OrthogonalInitializer", "orthogonal_"),
        build=_fill_orthogonal,
    ),
    InitializerRow(
        name="zeros",
        description="All zero, so that nothing but the biases of the last layer ever learns: a lower bound",
        source="torch.nn.init.zeros_, https://docs.pytorch.org/docs/stable/nn.init.html",
        settings=(),
        aliases=("Zeros", "zeros_"),
        build=_fill_zeros,
    ),
    InitializerRow(
        name="normal",
        description="Normal with one standard deviation for every layer, whatever its size",
        source="RandomNormal of Keras, https://keras.io/api/layers/initializers/; torch.nn.init.normal_",
        settings=(
            Setting("init_std", "Standard deviation of the weights at the start", "float", 0.05, low=0, low_open=True),
        ),
        aliases=("RandomNormal", "random_normal"),
        build=_fill_normal,
    ),
)

INITIALIZERS: Mapping[str, InitializerRow] = {row.name: row for row in _ROWS}


def initialize(
    model: nn.Module, row: InitializerRow, settings: Mapping[str, Value], generator: torch.Generator
) -> None:
    """Draws every weight of a model anew, in the order of its layers.

    Args:
        model: On the CPU, made of convolutions, dense layers, batch normalisation and layers without weights.
        row: How to fill the weights of convolutions and dense layers.
        settings: The row's settings.
        generator: A CPU generator, the only source of chance.

    Raises:
        TypeError: The model has a layer with weights of another kind.
    """
    from torch import nn

    from trainer.networks.network import Wrapped

    is_own = isinstance(model, Wrapped)  # whose other layers keep the weights that they were made with
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            row.build(settings, layer.weight, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            layer.reset_parameters()
        elif any(True for _ in layer.parameters(recurse=False)) and not is_own:
            raise TypeError(f"no rule to initialise the weights of {name}, a {type(layer).__name__}; add one here")
