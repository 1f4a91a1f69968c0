"""Distributions of numbers: uniform, logarithmic, and about a centre."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sweeps.reader.model import fault_at
from sweeps.space.distributions import LARGEST_EXPONENT, LARGEST_INT, QUANTILES, ByQuantile, Distribution, index_at
from trainer.config import Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


class Range(Distribution):
    """Base of the distributions between two ends."""

    @model_validator(mode="after")
    def _check_order(self) -> Any:
        low, high = self.min, self.max  # type: ignore[attr-defined]
        if low > high:
            raise fault_at("min", f"{low!r} is above max, which is {high!r}; swap the two", "max")
        if low == high:
            single = self.at(0.0)
            message = f"equals max, {high!r}, so there is nothing to search; write `value: {single!r}`"
            raise fault_at("min", message, "max")
        return self

    def to_suggestion(self, value: Value) -> Value:
        """The value itself, which Optuna draws from the range."""
        return value


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

    def at(self, coordinate: float) -> float:
        """Linear between the ends."""
        return min(max(self.min + coordinate * (self.max - self.min), self.min), self.max)

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Any number of the range."""
        return float(trial.suggest_float(name, self.min, self.max))


class IntUniform(Range):
    """A whole number from min to max, both included, all equally likely."""

    kind: ClassVar[str] = "int"
    distribution: Literal["int_uniform"] = "int_uniform"
    min: int = Field(ge=-LARGEST_INT, le=LARGEST_INT)
    max: int = Field(ge=-LARGEST_INT, le=LARGEST_INT)

    @property
    def count(self) -> int:
        """The whole numbers of the range."""
        return self.max - self.min + 1

    @property
    def gives_whole_numbers(self) -> bool:
        """Always."""
        return True

    def at(self, coordinate: float) -> int:
        """The number whose share of the way from 0 to 1 holds the coordinate."""
        return self.min + index_at(self.count, coordinate)

    def list_values(self) -> Iterator[Value]:
        """Yields the numbers upwards."""
        yield from range(self.min, self.max + 1)

    def suggest(self, trial: BaseTrial, name: str) -> int:
        """One of the numbers."""
        return int(trial.suggest_int(name, self.min, self.max))


class LogUniformValues(Range):
    """A real number whose logarithm is evenly spread; min and max are the values themselves."""

    distribution: Literal["log_uniform_values"] = "log_uniform_values"
    min: float = Field(gt=0)
    max: float = Field(gt=0)

    def at(self, coordinate: float) -> float:
        """Linear in the logarithm."""
        # this form is exact at both ends
        value: float = self.min ** (1 - coordinate) * self.max**coordinate
        return min(max(value, self.min), self.max)

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Any number of the range, on the logarithmic scale."""
        return float(trial.suggest_float(name, self.min, self.max, log=True))


class InvLogUniformValues(LogUniformValues):
    """A real number the logarithm of whose inverse is evenly spread, which is log_uniform_values by another name."""

    distribution: Literal["inv_log_uniform_values"] = "inv_log_uniform_values"  # type: ignore[assignment]


class LogUniform(Range):
    """A real number whose natural logarithm is evenly spread; min and max are exponents of e."""

    distribution: Literal["log_uniform"] = "log_uniform"
    min: float = Field(ge=-LARGEST_EXPONENT, le=LARGEST_EXPONENT)
    max: float = Field(ge=-LARGEST_EXPONENT, le=LARGEST_EXPONENT)

    def at(self, coordinate: float) -> float:
        """Linear in the exponent."""
        exponent = self.min + coordinate * (self.max - self.min)
        return math.exp(min(max(exponent, self.min), self.max))

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """Any number of the range, on the logarithmic scale."""
        return float(trial.suggest_float(name, math.exp(self.min), math.exp(self.max), log=True))


class Bell(ByQuantile):
    """Base of the distributions about a centre; both ends reach six standard deviations away."""

    mu: float = 0.0
    sigma: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _check_width(self) -> Any:
        if not math.isfinite(abs(self.mu) + 7 * self.sigma):
            raise fault_at("sigma", "the values are too large to compute in", "mu")
        return self

    def _deviate(self, coordinate: float) -> float:
        """The normal number at a quantile."""
        return NormalDist(self.mu, self.sigma).inv_cdf(_cut(coordinate))


class Normal(Bell):
    """A real number with mean mu and standard deviation sigma."""

    distribution: Literal["normal"] = "normal"

    def at(self, coordinate: float) -> float:
        """The normal distribution's quantile."""
        return self._deviate(coordinate)

    def quantile(self, value: float) -> float:
        """The normal distribution's probability."""
        return NormalDist(self.mu, self.sigma).cdf(value)


class LogNormal(Bell):
    """A positive number whose natural logarithm has mean mu and standard deviation sigma."""

    distribution: Literal["log_normal"] = "log_normal"

    @model_validator(mode="after")
    def _check_size(self) -> LogNormal:
        if abs(self.mu) + 7 * self.sigma > LARGEST_EXPONENT:
            raise fault_at("sigma", "the values are too large or too small to compute in", "mu")
        return self

    def at(self, coordinate: float) -> float:
        """The exponential of the normal distribution's quantile."""
        return math.exp(self._deviate(coordinate))

    def quantile(self, value: float) -> float:
        """The normal distribution's probability of the logarithm."""
        return NormalDist(self.mu, self.sigma).cdf(math.log(value)) if value > 0 else 0.0


class Beta(ByQuantile):
    """A number between 0 and 1 of the beta distribution with parameters a and b."""

    distribution: Literal["beta"] = "beta"
    a: float = Field(default=1.0, gt=0)
    b: float = Field(default=1.0, gt=0)

    def at(self, coordinate: float) -> float:
        """The beta distribution's quantile."""
        from scipy.special import betaincinv

        return float(betaincinv(self.a, self.b, _cut(coordinate)))

    def quantile(self, value: float) -> float:
        """The beta distribution's probability."""
        from scipy.special import betainc

        return float(betainc(self.a, self.b, min(max(value, 0.0), 1.0)))


def _cut(coordinate: float) -> float:
    """A quantile no further out than Optuna's steps reach: one in two thousand million is left out at each end."""
    edge = 0.5 / (QUANTILES + 1)
    return min(max(coordinate, edge), 1 - edge)
