"""The search space of each arm: draws through an Optuna trial or from the unit cube, the grid, its size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from sweeps.parameters import (
    Categorical,
    Choices,
    Constant,
    IntUniform,
    LogUniformValues,
    Parameter,
    QUniform,
    Uniform,
)
from trainer.config import Value

if TYPE_CHECKING:
    import numpy as np
    from optuna.trial import BaseTrial

    from sweeps.spec import SweepSpec

T = TypeVar("T")


@dataclass(frozen=True)
class Arm:
    """One value of what is compared, with the parameters that its trials draw.

    Args:
        name: The value of the compared parameter, or "all" in a sweep without `compare`.
        parameters: In the order of the file: the shared ones, the compared one among them as a constant, then the
            settings of the arm's own choice.
    """

    name: str
    parameters: Mapping[str, Parameter]


def build_arms(spec: SweepSpec) -> tuple[Arm, ...]:
    """The arms of a sweep, in the order of the file; one arm named "all" without `compare`."""
    if spec.compare is None:
        return (Arm("all", spec.parameters),)
    return split_arms(spec.parameters, spec.compare)


def split_arms(parameters: Mapping[str, Parameter], compare: str) -> tuple[Arm, ...]:
    """One arm per value or choice of the compared parameter."""
    compared = parameters[compare]
    own: list[tuple[Value, Mapping[str, Parameter]]]
    match compared:
        case Choices(choices=choices):
            own = list(choices.items())
        case Categorical(values=values):
            own = [(value, {}) for value in values]
        case _:
            raise ValueError(f"{compare} has nothing to compare")
    # the choice's own settings come last, so that the shared parameters take the same unit-cube axes in every arm
    return tuple(
        Arm(show_value(value), {**parameters, compare: Constant(value=value), **settings}) for value, settings in own
    )


def show_value(value: Value) -> str:
    """A value as it is written in a sweep file, for names of arms."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def sample(arm: Arm, trial: BaseTrial) -> dict[str, Value]:
    """One configuration, drawn through `trial.suggest_*`.

    A setting of a choice that is not compared is suggested as `<parameter>.<choice>.<setting>`, since one Optuna study
    knows one range per name.
    """
    return dict(_sample(arm.parameters, trial, ""))


def _sample(parameters: Mapping[str, Parameter], trial: BaseTrial, prefix: str) -> Iterator[tuple[str, Value]]:
    for name, parameter in parameters.items():
        unique = prefix + name
        match parameter:
            case Constant(value=value):
                yield name, value
            case Categorical(values=values):
                yield name, values[0] if len(values) == 1 else trial.suggest_categorical(unique, list(values))
            case Uniform(min=low, max=high):
                yield name, float(trial.suggest_float(unique, low, high))
            case IntUniform(min=low, max=high):
                yield name, int(trial.suggest_int(unique, low, high))
            case LogUniformValues(min=low, max=high):
                yield name, float(trial.suggest_float(unique, low, high, log=True))
            case QUniform():
                # which multiple, not its value: Optuna's own steps miss the last one where the division is inexact
                yield name, parameter.multiple(int(trial.suggest_int(unique, *parameter.first_and_last)))
            case Choices(choices=choices):
                names = list(choices)
                chosen = names[0] if len(names) == 1 else trial.suggest_categorical(unique, names)
                yield name, chosen
                yield from _sample(choices[chosen], trial, f"{unique}.{chosen}.")


def to_suggestions(arm: Arm, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """What `trial.suggest_*` gave when `sample` drew this configuration, by Optuna's names."""
    return dict(_to_suggestions(arm.parameters, parameters, ""))


def _to_suggestions(
    space: Mapping[str, Parameter], drawn: Mapping[str, Value], prefix: str
) -> Iterator[tuple[str, Value]]:
    for name, parameter in space.items():
        unique, value = prefix + name, drawn[name]
        match parameter:
            case Constant():
                pass
            case Categorical(values=values):
                if len(values) > 1:
                    yield unique, value
            case QUniform(q=q):
                assert isinstance(value, int | float)
                yield unique, round(value / q)
            case Choices(choices=choices):
                assert isinstance(value, str)
                if len(choices) > 1:
                    yield unique, value
                yield from _to_suggestions(choices[value], drawn, f"{unique}.{value}.")
            case _:
                yield unique, value


def num_dimensions(arm: Arm) -> int:
    """Axes of the unit cube that `from_unit_cube` reads for this arm."""
    return _count_axes(arm.parameters)


def _count_axes(parameters: Mapping[str, Parameter]) -> int:
    count = 0
    for parameter in parameters.values():
        match parameter:
            case Constant():
                pass
            case Categorical(values=values):
                count += len(values) > 1
            case Choices(choices=choices):
                count += len(choices) > 1
                count += max(_count_axes(settings) for settings in choices.values())
            case _:
                count += 1
    return count


def from_unit_cube(arm: Arm, point_D: np.ndarray) -> dict[str, Value]:
    """The configuration at a point of the unit cube.

    Args:
        arm: The arm.
        point_D: Numbers in 0..1, at least `num_dimensions(arm)` of them; those beyond are not read. Axes follow the
            order of the file; a choice takes one axis, then as many as its largest branch, shared by position.
    """
    if len(point_D) < num_dimensions(arm):
        raise ValueError(f"arm {arm.name!r} needs {num_dimensions(arm)} axes, the point has {len(point_D)}")
    return dict(_locate(arm.parameters, [float(axis) for axis in point_D]))


def _locate(parameters: Mapping[str, Parameter], point: list[float]) -> Iterator[tuple[str, Value]]:
    """Yields names and values, reading each parameter's axes from the front of the point."""
    axis = 0
    for name, parameter in parameters.items():
        num_axes = _count_axes({name: parameter})
        own, axis = point[axis : axis + num_axes], axis + num_axes
        match parameter:
            case Constant(value=value):
                yield name, value
            case Categorical(values=values):
                yield name, values[0] if len(values) == 1 else _pick(values, own[0])
            case Uniform(min=low, max=high):
                yield name, min(max(low + own[0] * (high - low), low), high)
            case IntUniform(min=low, max=high):
                yield name, low + _index(high - low + 1, own[0])
            case LogUniformValues(min=low, max=high):
                # this form is exact at both ends
                yield name, min(max(low ** (1 - own[0]) * high ** own[0], low), high)
            case QUniform():
                first, last = parameter.first_and_last
                yield name, parameter.multiple(first + _index(last - first + 1, own[0]))
            case Choices(choices=choices):
                chosen = next(iter(choices)) if len(choices) == 1 else _pick(tuple(choices), own[0])
                yield name, chosen
                yield from _locate(choices[chosen], own[len(choices) > 1 :])


def _index(count: int, coordinate: float) -> int:
    return min(int(coordinate * count), count - 1)


def _pick(values: tuple[T, ...], coordinate: float) -> T:
    return values[_index(len(values), coordinate)]


def build_grid(arm: Arm) -> tuple[dict[str, Value], ...]:
    """Every configuration of an arm, the last parameter of the file changing fastest.

    Raises:
        ValueError: The arm has a continuous parameter.
    """
    if size(arm) is None:
        raise ValueError(f"arm {arm.name!r} has a continuous parameter, so its configurations cannot be listed")
    return tuple(_list_all(arm.parameters))


def _list_all(parameters: Mapping[str, Parameter]) -> Iterator[dict[str, Value]]:
    options = [
        [{name: value, **settings} for value, settings in _list_one(parameter)]
        for name, parameter in parameters.items()
    ]
    for combination in product(*options):
        yield {name: value for part in combination for name, value in part.items()}


def _list_one(parameter: Parameter) -> Iterator[tuple[Value, dict[str, Value]]]:
    """Yields each value with the settings that come with it."""
    match parameter:
        case Choices(choices=choices):
            for name, settings in choices.items():
                for rest in _list_all(settings):
                    yield name, rest
        case _:
            for value in list_values(parameter):
                yield value, {}


def list_values(parameter: Parameter) -> Iterator[Value]:
    """Yields every value of a parameter that has finitely many; the names of choices."""
    match parameter:
        case Constant(value=value):
            yield value
        case Categorical(values=values):
            yield from values
        case IntUniform(min=low, max=high):
            yield from range(low, high + 1)
        case QUniform():
            first, last = parameter.first_and_last
            yield from (parameter.multiple(factor) for factor in range(first, last + 1))
        case Choices(choices=choices):
            yield from choices


def searched(arm: Arm) -> tuple[str, ...]:
    """Names of the parameters that vary within the arm, those of choices included, each once."""
    return tuple(dict.fromkeys(list_varying(arm.parameters)))


def list_varying(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """Yields the names of parameters with more than one value, those inside choices too."""
    for name, parameter in parameters.items():
        match parameter:
            case Constant():
                pass
            case Categorical(values=values):
                if len(values) > 1:
                    yield name
            case Choices(choices=choices):
                if len(choices) > 1:
                    yield name
                for settings in choices.values():
                    yield from list_varying(settings)
            case _:
                yield name


def size(arm: Arm) -> int | None:
    """Number of distinct configurations of an arm; None when a parameter is continuous."""
    return count_configurations(arm.parameters)


def count_configurations(parameters: Mapping[str, Parameter]) -> int | None:
    """Number of distinct configurations; None when a parameter is continuous."""
    counts = [_count_one(parameter) for parameter in parameters.values()]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def _count_one(parameter: Parameter) -> int | None:
    match parameter:
        case Constant():
            return 1
        case Categorical(values=values):
            return len(values)
        case IntUniform(min=low, max=high):
            return high - low + 1
        case QUniform():
            first, last = parameter.first_and_last
            return last - first + 1
        case Choices(choices=choices):
            counts = [count_configurations(settings) for settings in choices.values()]
            return None if None in counts else sum(count for count in counts if count is not None)
    return None


def trials_per_arm(spec: SweepSpec) -> int | None:
    """Trials that the budget allows each arm; None when the budget does not count trials."""
    if spec.budget.trials_per_arm is not None:
        return spec.budget.trials_per_arm
    return None if spec.num_trials is None else spec.num_trials // len(build_arms(spec))
