"""What one parameter of a sweep file can be: a constant, a distribution, or choices with settings of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from trainer.config import Value

LARGEST_INT = 2**53  # above it a float no longer holds every whole number, and searchers compute in floats


class Frozen(BaseModel):
    """Base of all models of the sweep file: immutable, no unknown keys, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def fault_at(key: str, message: str, *compared: str) -> PydanticCustomError:
    """A fault of one key of a model.

    Args:
        key: Whose line the fault is reported at.
        message: What was found, what is allowed, what to do.
        compared: Other keys that the fault is about; where one of them is at fault itself, this fault is not reported.
    """
    # pydantic fills in the template, so braces in the message must not be part of it
    return PydanticCustomError("sweep_fault", "{message}", {"message": message, "keys": (key, *compared)})


class Constant(Frozen):
    """One value, the same in every trial."""

    distribution: Literal["constant"] = "constant"
    value: Value


class Categorical(Frozen):
    """One of several values, all equally likely."""

    distribution: Literal["categorical"] = "categorical"
    values: tuple[Value, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_distinct(self) -> Categorical:
        if len(set(self.values)) < len(self.values):
            raise fault_at("values", "holds the same value twice")
        return self


class Range(Frozen):
    """Base of the distributions between two ends."""

    @model_validator(mode="after")
    def _check_order(self) -> Any:
        low, high = self.min, self.max  # type: ignore[attr-defined]
        if low > high:
            raise fault_at("min", f"{low!r} is above max, which is {high!r}; swap the two", "max")
        if low == high:
            message = f"equals max, {high!r}, so there is nothing to search; write `value: {high!r}`"
            raise fault_at("min", message, "max")
        return self


class Uniform(Range):
    """A real number, evenly spread from min to max."""

    distribution: Literal["uniform"] = "uniform"
    min: float
    max: float

    @model_validator(mode="after")
    def _check_width(self) -> Uniform:
        if not math.isfinite(self.max - self.min):
            raise fault_at("max", "the range is too wide to compute in", "min")
        return self


class IntUniform(Range):
    """A whole number from min to max, both included, all equally likely."""

    distribution: Literal["int_uniform"] = "int_uniform"
    min: int = Field(ge=-LARGEST_INT, le=LARGEST_INT)
    max: int = Field(ge=-LARGEST_INT, le=LARGEST_INT)


class LogUniformValues(Range):
    """A real number whose logarithm is evenly spread; min and max are the values themselves."""

    distribution: Literal["log_uniform_values"] = "log_uniform_values"
    min: float = Field(gt=0)
    max: float = Field(gt=0)


class QUniform(Range):
    """A multiple of q between min and max, all equally likely.

    W&B rounds a uniform draw to the nearest multiple of q, which can leave the range (min 1, q 4 gives 0) and gives the
    outermost multiples half the share of the others; here only multiples inside the range exist, with equal shares.
    """

    distribution: Literal["q_uniform"] = "q_uniform"
    min: int | float
    max: int | float
    q: int | float = Field(gt=0)

    @model_validator(mode="after")
    def _check_multiples(self) -> QUniform:
        span = Decimal(repr(self.max)) - Decimal(repr(self.min))
        if span / Decimal(repr(self.q)) > LARGEST_INT:
            raise fault_at("q", f"{self.q!r} is too small for a range of this width; use uniform", "min", "max")
        first, last = self.first_and_last
        if first > last:
            raise fault_at("q", f"no multiple of {self.q!r} lies between {self.min!r} and {self.max!r}", "min", "max")
        if first == last:
            raise fault_at(
                "q",
                f"only one multiple of {self.q!r}, {self.multiple(first)!r}, lies between {self.min!r} and "
                f"{self.max!r}, so there is nothing to search; write `value: {self.multiple(first)!r}`",
                "min",
                "max",
            )
        return self

    @property
    def first_and_last(self) -> tuple[int, int]:
        """Factors of the smallest and the largest multiple of q in the range."""
        # decimal, because 0.3 / 0.1 in binary is just below 3
        low, high, q = (Decimal(repr(number)) for number in (self.min, self.max, self.q))
        return math.ceil(low / q), math.floor(high / q)

    def multiple(self, factor: int) -> int | float:
        """The factor-th multiple of q; a whole number when q was written as one."""
        return factor * self.q if isinstance(self.q, int) else float(factor * Decimal(repr(self.q)))


class Choices(Frozen):
    """One of several names, each with settings that belong to it alone."""

    distribution: Literal["choices"] = "choices"
    choices: Mapping[str, Mapping[str, Parameter]] = Field(min_length=1)


Parameter: TypeAlias = Annotated[
    Constant | Categorical | Uniform | IntUniform | LogUniformValues | QUniform | Choices,
    Field(discriminator="distribution"),
]

Choices.model_rebuild()
