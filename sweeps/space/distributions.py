"""How one parameter of a sweep file is drawn: W&B's distributions, each with its quantiles and its way into Optuna.

Source of names and meanings: W&B's sweep configuration, https://docs.wandb.ai/guides/sweeps/sweep-config-keys; where a
meaning differs the class says so.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sweeps.reader.model import Frozen, fault_at
from trainer.config import Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

LARGEST_INT = 2**53  # above it a float no longer holds every whole number, and searchers compute in floats
LARGEST_EXPONENT = 700.0  # of e, in a float
QUANTILES = 2**30  # steps in which Optuna counts the quantiles of what it has no distribution for


class Distribution(Frozen):
    """Base of everything that a parameter without settings of its own can be.

    Attributes:
        kind: What its values are: "any" value, "float" numbers, or "int" for whole numbers alone.
    """

    kind: ClassVar[str] = "float"

    @property
    def count(self) -> int | None:
        """How many values there are; None where there is no end of them."""
        return None

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return self.count != 1

    @property
    def num_axes(self) -> int:
        """Axes of the unit cube that it takes."""
        return int(self.varies)

    @property
    def gives_whole_numbers(self) -> bool:
        """Whether all values are whole numbers of Python's type int."""
        return False

    @abstractmethod
    def at(self, coordinate: float) -> Value:
        """The value at a quantile, from 0 to 1."""

    def ends(self) -> list[Value]:
        """The outermost values that can be drawn; all of them where they have no order."""
        return [self.at(0.0), self.at(1.0)]

    def contains(self, value: Value) -> bool:
        """Whether a value can be drawn."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.ends()
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        return low <= value <= high and (isinstance(value, int) or not self.gives_whole_numbers)

    def list_values(self) -> Iterator[Value]:
        """Yields every value.

        Raises:
            ValueError: There is no end of them.
        """
        raise ValueError(f"{type(self).__name__} has no end of values")

    @abstractmethod
    def suggest(self, trial: BaseTrial, name: str) -> Value:
        """The value that an Optuna trial suggests under a name; of what has one value, that value."""

    @abstractmethod
    def to_suggestion(self, value: Value) -> Value:
        """What `suggest` got from Optuna when it returned this value."""


class ByQuantile(Distribution):
    """Base of what Optuna has no distribution for: it suggests a quantile, in equal steps."""

    @abstractmethod
    def quantile(self, value: float) -> float:
        """The probability of a value below this one, from 0 to 1."""

    def suggest(self, trial: BaseTrial, name: str) -> Value:
        """The value at the quantile that Optuna suggests."""
        return self.at((trial.suggest_int(name, 0, QUANTILES) + 0.5) / (QUANTILES + 1))

    def to_suggestion(self, value: Value) -> Value:
        """The quantile of a value; of several that lead there, the middle one."""
        assert isinstance(value, int | float)
        return min(max(math.floor(self.quantile(float(value)) * (QUANTILES + 1)), 0), QUANTILES)


class Constant(Distribution):
    """One value, the same in every trial."""

    kind: ClassVar[str] = "any"
    distribution: Literal["constant"] = "constant"
    value: Value

    @property
    def count(self) -> int:
        """One."""
        return 1

    def contains(self, value: Value) -> bool:
        """Whether it is this value."""
        return _same(value, self.value)

    def at(self, coordinate: float) -> Value:
        """The value."""
        del coordinate  # one is like the other
        return self.value

    def ends(self) -> list[Value]:
        """The value, once."""
        return [self.value]

    def list_values(self) -> Iterator[Value]:
        """Yields the value."""
        yield self.value

    def suggest(self, trial: BaseTrial, name: str) -> Value:
        """The value; Optuna is not asked."""
        del trial, name
        return self.value

    def to_suggestion(self, value: Value) -> Value:
        """The value itself."""
        return value


class Categorical(Distribution):
    """One of several values, equally likely unless probabilities are given."""

    kind: ClassVar[str] = "any"
    distribution: Literal["categorical"] = "categorical"
    values: tuple[Value, ...] = Field(min_length=1)
    probabilities: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _check_distinct(self) -> Categorical:
        if len(set(self.values)) < len(self.values):
            raise fault_at("values", "holds the same value twice")
        return self

    @model_validator(mode="after")
    def _check_probabilities(self) -> Categorical:
        if self.probabilities is None:
            return self
        if len(self.probabilities) != len(self.values):
            message = f"found {len(self.probabilities)} for {len(self.values)} values; give one for each"
            raise fault_at("probabilities", message, "values")
        if min(self.probabilities) <= 0:
            message = f"found {min(self.probabilities)!r}; allowed: above 0; leave out values that are never drawn"
            raise fault_at("probabilities", message)
        if not math.isclose(sum(self.probabilities), 1, abs_tol=1e-6):
            raise fault_at("probabilities", f"their sum is {sum(self.probabilities):g}; allowed: 1")
        return self

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.values)

    def contains(self, value: Value) -> bool:
        """Whether it is one of the values."""
        return value in self.values and any(_same(value, each) for each in self.values)

    def at(self, coordinate: float) -> Value:
        """The value whose share of the way from 0 to 1 holds the coordinate."""
        if self.probabilities is None:
            return self.values[index_at(len(self.values), coordinate)]
        reached = 0.0
        for value, probability in zip(self.values, self.probabilities, strict=True):
            reached += probability
            if coordinate < reached:
                return value
        return self.values[-1]

    def ends(self) -> list[Value]:
        """All values."""
        return list(self.values)

    def list_values(self) -> Iterator[Value]:
        """Yields the values."""
        yield from self.values

    def suggest(self, trial: BaseTrial, name: str) -> Value:
        """One of the values, which have no order for Optuna."""
        if len(self.values) == 1:
            return self.values[0]
        value: Value = trial.suggest_categorical(name, list(self.values))
        return value

    def to_suggestion(self, value: Value) -> Value:
        """The value itself."""
        return value


def index_at(count: int, coordinate: float) -> int:
    """The place of a quantile, from 0 to 1, among `count` equally likely values."""
    return min(int(coordinate * count), count - 1)


def _same(first: Value, second: Value) -> bool:
    """Equality, in which true is not 1."""
    return first == second and isinstance(first, bool) == isinstance(second, bool)
