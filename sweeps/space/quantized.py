"""Distributions whose values are multiples of q.

W&B rounds a draw to the nearest multiple of q. So do these, but for two things that the classes say: no value leaves
the range of min and max, and `q_uniform` gives all multiples equal shares.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from sweeps.reader.model import fault_at
from sweeps.space.distributions import LARGEST_INT, ByQuantile
from sweeps.space.numeric import Beta, LogNormal, LogUniform, LogUniformValues, Normal, Range
from trainer.config import Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


class Quantized(ByQuantile):
    """Base: the nearest multiple of q to what the other base draws, within its range if it has one."""

    q: int | float = Field(default=1, gt=0)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The values that the distribution lies between, None where it has no ends."""
        return None

    @model_validator(mode="after")
    def _check_multiples(self) -> Any:
        if self.bounds is None:
            return self
        low, high = self.bounds
        if (Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(self.q)) > LARGEST_INT:
            message = f"{self.q!r} is too small for a range of this width; use the distribution without q"
            raise fault_at("q", message, *self._ends_written())
        first, last = self._limits()
        if first > last:
            message = f"no multiple of {self.q!r} lies between {low:.6g} and {high:.6g}"
            raise fault_at("q", message, *self._ends_written())
        if first == last:
            single = self.multiple(first)
            raise fault_at(
                "q",
                f"only one multiple of {self.q!r}, {single!r}, lies between {low:.6g} and {high:.6g}, so there is "
                f"nothing to search; write `value: {single!r}`",
                *self._ends_written(),
            )
        return self

    @property
    def count(self) -> int | None:
        """The multiples of q in the range."""
        if self.bounds is None:
            return None
        first, last = self._limits()
        return last - first + 1

    @property
    def gives_whole_numbers(self) -> bool:
        """Whether q was written as a whole number."""
        return isinstance(self.q, int)

    def multiple(self, factor: int) -> int | float:
        """The factor-th multiple of q; a whole number when q was written as one."""
        return factor * self.q if isinstance(self.q, int) else float(factor * Decimal(repr(self.q)))

    def at(self, coordinate: float) -> int | float:
        """The nearest multiple to the quantile of the distribution without q."""
        drawn = super().at(coordinate)  # type: ignore[safe-super]  # the base beside this one has it
        assert isinstance(drawn, int | float)
        factor = int((Decimal(repr(float(drawn))) / Decimal(repr(self.q))).to_integral_value(ROUND_HALF_EVEN))
        if self.bounds is not None:
            first, last = self._limits()
            factor = min(max(factor, first), last)
        return self.multiple(factor)

    def contains(self, value: Value) -> bool:
        """Whether it is a multiple of q in the range."""
        if not super().contains(value):
            return False
        assert isinstance(value, int | float)
        return value == self.multiple(round(value / self.q))

    def list_values(self) -> Iterator[Value]:
        """Yields the multiples upwards."""
        if self.bounds is None:
            yield from super().list_values()
        first, last = self._limits()
        yield from (self.multiple(factor) for factor in range(first, last + 1))

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """The multiple at the quantile that Optuna suggests."""
        value = ByQuantile.suggest(self, trial, name)
        assert isinstance(value, int | float)
        return value

    def to_suggestion(self, value: Value) -> Value:
        """The middle of the quantiles that lead to this multiple."""
        return ByQuantile.to_suggestion(self, value)

    def _limits(self) -> tuple[int, int]:
        """Factors of the smallest and the largest multiple of q in the range."""
        assert self.bounds is not None
        # decimal, because 0.3 / 0.1 in binary is just below 3
        low, high, q = (Decimal(repr(number)) for number in (*self.bounds, self.q))
        return math.ceil(low / q), math.floor(high / q)

    def _ends_written(self) -> tuple[str, ...]:
        return ("min", "max") if "min" in type(self).model_fields else ()


class QUniform(Quantized, Range):
    """A multiple of q between min and max, all equally likely.

    W&B rounds a uniform draw to the nearest multiple of q, which can leave the range (min 1, q 4 gives 0) and gives the
    outermost multiples half the share of the others; here only multiples inside the range exist, with equal shares.
    """

    distribution: Literal["q_uniform"] = "q_uniform"
    min: int | float
    max: int | float

    @property
    def bounds(self) -> tuple[float, float]:
        """As written."""
        return self.min, self.max

    @property
    def gives_whole_numbers(self) -> bool:
        """Whether min, max and q were written as whole numbers."""
        return all(isinstance(number, int) for number in (self.min, self.max, self.q))

    @property
    def first_and_last(self) -> tuple[int, int]:
        """Factors of the smallest and the largest multiple of q in the range."""
        return self._limits()

    def at(self, coordinate: float) -> int | float:
        """The multiple whose share of the way from 0 to 1 holds the coordinate."""
        first, last = self.first_and_last
        return self.multiple(first + min(int(coordinate * (last - first + 1)), last - first))

    def quantile(self, value: float) -> float:
        """The share of the multiples below this one, and half of its own."""
        first, last = self.first_and_last
        return (round(value / self.q) - first + 0.5) / (last - first + 1)

    def suggest(self, trial: BaseTrial, name: str) -> float:
        """One of the multiples."""
        # which multiple, not its value: Optuna's own steps miss the last one where the division is inexact
        return self.multiple(int(trial.suggest_int(name, *self.first_and_last)))

    def to_suggestion(self, value: Value) -> Value:
        """Which multiple of q it is."""
        assert isinstance(value, int | float)
        return round(value / self.q)


class QLogUniformValues(Quantized, LogUniformValues):
    """The multiple of q nearest to a number whose logarithm is evenly spread, within min and max."""

    distribution: Literal["q_log_uniform_values"] = "q_log_uniform_values"  # type: ignore[assignment]

    @property
    def bounds(self) -> tuple[float, float]:
        """As written."""
        return self.min, self.max

    def quantile(self, value: float) -> float:
        """Linear in the logarithm."""
        value = min(max(value, self.min), self.max)
        return math.log(value / self.min) / math.log(self.max / self.min)


class QLogUniform(Quantized, LogUniform):
    """The multiple of q nearest to a number whose logarithm is evenly spread; min and max are exponents of e."""

    distribution: Literal["q_log_uniform"] = "q_log_uniform"  # type: ignore[assignment]

    @property
    def bounds(self) -> tuple[float, float]:
        """The exponentials of what is written."""
        return math.exp(self.min), math.exp(self.max)

    def quantile(self, value: float) -> float:
        """Linear in the logarithm."""
        low, high = self.bounds
        return (math.log(min(max(value, low), high)) - self.min) / (self.max - self.min)


class QNormal(Quantized, Normal):
    """The multiple of q nearest to a number with mean mu and standard deviation sigma."""

    distribution: Literal["q_normal"] = "q_normal"  # type: ignore[assignment]


class QLogNormal(Quantized, LogNormal):
    """The multiple of q nearest to a number whose natural logarithm has mean mu and standard deviation sigma."""

    distribution: Literal["q_log_normal"] = "q_log_normal"  # type: ignore[assignment]


class QBeta(Quantized, Beta):
    """The multiple of q nearest to a number of the beta distribution with parameters a and b."""

    distribution: Literal["q_beta"] = "q_beta"  # type: ignore[assignment]
    q: int | float = Field(default=0.1, gt=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0
