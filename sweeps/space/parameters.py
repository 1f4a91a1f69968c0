"""What one parameter of a sweep file can be: drawn from a distribution, or choices with settings of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
from trainer.config import Value

__all__ = ["DISTRIBUTIONS", "Choices", "Parameter", "count_axes", "count_configurations", "walk"]


class Choices(Frozen):
    """One of several names, each with settings that belong to it alone."""

    distribution: Literal["choices"] = "choices"
    choices: Mapping[str, Mapping[str, Parameter]] = Field(min_length=1)

    @property
    def varies(self) -> bool:
        """Whether there is more than one name."""
        return len(self.choices) > 1

    @property
    def count(self) -> int | None:
        """Number of names, each with its settings; None when one of them is continuous."""
        counts = [count_configurations(settings) for settings in self.choices.values()]
        return None if None in counts else sum(filter(None, counts))

    @property
    def num_axes(self) -> int:
        """Axes of the unit cube: one to choose by, then as many as the largest branch has."""
        return self.varies + max(count_axes(settings) for settings in self.choices.values())


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


def walk(
    parameters: Mapping[str, Parameter], values: Mapping[str, Value] | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Parameter]]:
    """Yields every parameter with its key path, which ends with its name; those inside choices after their choice.

    Args:
        parameters: By name.
        values: Of choices only the branch that these have taken; None for all branches.
        path: Of the mapping.
    """
    for name, parameter in parameters.items():
        yield (*path, name), parameter
        if isinstance(parameter, Choices):
            for choice, settings in parameter.choices.items():
                if values is None or str(values.get(name)) == choice:
                    yield from walk(settings, values, (*path, name, "choices", choice))


def count_configurations(parameters: Mapping[str, Parameter]) -> int | None:
    """Number of distinct configurations; None when a parameter is continuous."""
    counts = [parameter.count for parameter in parameters.values()]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def count_axes(parameters: Mapping[str, Parameter]) -> int:
    """Axes of the unit cube that the parameters take."""
    return sum(parameter.num_axes for parameter in parameters.values())


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
