"""Distributions about a centre, which Optuna does not have: normal, log-normal and beta."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Literal

from pydantic import Field, model_validator

from sweeps.space.distributions import LARGEST_EXPONENT, QUANTILES, ByQuantile, fault_at


class Bell(ByQuantile):
    """Base of the distributions about a centre; both ends reach six standard deviations away."""

    mu: float = 0.0
    sigma: float = Field(default=1.0, gt=0)

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
