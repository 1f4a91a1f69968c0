"""What one parameter of a sweep file can be: drawn from a distribution, or choices with settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from sweeps.reader.model import Frozen
from sweeps.space.distributions import Categorical, Constant, Distribution
from sweeps.space.numeric import (
    Beta,
    IntUniform,
    InvLogUniformValues,
    LogNormal,
    LogUniform,
    LogUniformValues,
    Normal,
    Uniform,
)
from sweeps.space.quantized import QBeta, QLogNormal, QLogUniform, QLogUniformValues, QNormal, QUniform

__all__ = ["DISTRIBUTIONS", "Choices", "Parameter"]


class Choices(Frozen):
    """One of several names, each with settings that belong to it alone."""

    distribution: Literal["choices"] = "choices"
    choices: Mapping[str, Mapping[str, Parameter]] = Field(min_length=1)


Parameter: TypeAlias = Annotated[
    Constant
    | Categorical
    | IntUniform
    | Uniform
    | QUniform
    | LogUniform
    | LogUniformValues
    | QLogUniform
    | QLogUniformValues
    | InvLogUniformValues
    | Normal
    | QNormal
    | LogNormal
    | QLogNormal
    | Beta
    | QBeta
    | Choices,
    Field(discriminator="distribution"),
]

Choices.model_rebuild()

# By the word that stands after `distribution:` in a sweep file, in W&B's order.
DISTRIBUTIONS: Mapping[str, type[Distribution]] = {
    str(model.model_fields["distribution"].default): model
    for model in (
        Constant,
        Categorical,
        IntUniform,
        Uniform,
        QUniform,
        LogUniform,
        LogUniformValues,
        QLogUniform,
        QLogUniformValues,
        InvLogUniformValues,
        Normal,
        QNormal,
        LogNormal,
        QLogNormal,
        Beta,
        QBeta,
    )
}
