"""How the values of a searched setting are looked at: as choices or as a number, plain or on its logarithm. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tracking.table import Value

MAX_LEVELS = 8  # a setting with more different values is a number, not a choice
LOG_RATIO = 20.0  # a number whose values span more than this is looked at on its logarithm


def is_number_line(name: str, values: Iterable[Value]) -> bool:
    """Whether a setting is a number with many values, rather than a choice; the learning rate always is."""
    levels = set(values)
    is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in levels)
    return is_numeric and (name == "lr" or len(levels) > MAX_LEVELS)


def is_logarithmic(name: str, values: Iterable[float]) -> bool:
    """Whether a number is looked at on its logarithm; the learning rate always is, where it is above 0."""
    numbers = list(values)
    low, high = min(numbers), max(numbers)
    return low > 0 and (name == "lr" or high / low > LOG_RATIO)


def level_key(value: Value) -> tuple[bool, float, str]:
    """The key that sorts choices: numbers by size, then the others by their names."""
    is_number = isinstance(value, int | float)
    return (not is_number, to_float(value) if is_number else 0.0, str(value))


def to_float(value: Value) -> float:
    """A setting that is a number, as one."""
    assert isinstance(value, int | float)
    return float(value)
