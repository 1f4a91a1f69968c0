"""The search space of each arm: draws through an Optuna trial or from the unit cube, the grid, its size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from sweeps.space.constraints import Constraint, fulfils
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.parameters import Choices, Parameter, count_axes, count_configurations, walk
from trainer.config import Value

if TYPE_CHECKING:
    import numpy as np
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class Arm:
    """One value of what is compared, with the parameters that its trials draw.

    Args:
        name: The values of the compared parameters, or "all" in a sweep without `compare`.
        parameters: In the order of the file: the shared ones, the compared ones among them as constants, then the
            settings of the arm's own choice.
    """

    name: str
    parameters: Mapping[str, Parameter]


def split_arms(parameters: Mapping[str, Parameter], compare: tuple[str, ...]) -> tuple[Arm, ...]:
    """One arm per value or choice of the compared parameter; of several, per combination, the last changing fastest."""
    # A choice's own settings come last, so that the shared parameters take the same unit-cube axes in every arm.
    return tuple(
        Arm(
            ", ".join(show_value(value) for value, _ in combination),
            dict(parameters)
            | {name: Constant(value=value) for name, (value, _) in zip(compare, combination, strict=True)}
            | {name: parameter for _, settings in combination for name, parameter in settings.items()},
        )
        for combination in product(*(_list_compared(name, parameters[name]) for name in compare))
    )


def count_arms(parameters: Mapping[str, Parameter], compare: tuple[str, ...]) -> int:
    """How many arms `split_arms` makes."""
    return math.prod(len(_list_compared(name, parameters[name])) for name in compare)


def _list_compared(name: str, compared: Parameter) -> list[tuple[Value, Mapping[str, Parameter]]]:
    """The values of a compared parameter, each with the settings that only it has."""
    match compared:
        case Choices(choices=choices):
            return list(choices.items())
        case Categorical(values=values):
            return [(value, {}) for value in values]
    raise ValueError(f"{name} has nothing to compare")


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
        if not isinstance(parameter, Choices):
            yield name, parameter.suggest(trial, unique)
            continue
        names = list(parameter.choices)
        chosen = names[0] if len(names) == 1 else trial.suggest_categorical(unique, names)
        yield name, chosen
        yield from _sample(parameter.choices[chosen], trial, f"{unique}.{chosen}.")


def to_suggestions(arm: Arm, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """What `trial.suggest_*` gave when `sample` drew this configuration, or a part of one, by Optuna's names."""
    return dict(_to_suggestions(arm.parameters, parameters, ""))


def _to_suggestions(
    space: Mapping[str, Parameter], drawn: Mapping[str, Value], prefix: str
) -> Iterator[tuple[str, Value]]:
    for name, parameter in space.items():
        if name not in drawn and not isinstance(parameter, Choices):
            continue
        unique, value = prefix + name, drawn.get(name)
        if not isinstance(parameter, Choices):
            if parameter.varies:
                yield unique, parameter.to_suggestion(value)
            continue
        if value is None and len(parameter.choices) == 1:
            value = next(iter(parameter.choices))
        if value is None:
            continue
        assert isinstance(value, str)
        if len(parameter.choices) > 1:
            yield unique, value
        yield from _to_suggestions(parameter.choices[value], drawn, f"{unique}.{value}.")


def num_dimensions(arm: Arm) -> int:
    """Axes of the unit cube that `from_unit_cube` reads for this arm."""
    return count_axes(arm.parameters)


def from_unit_cube(arm: Arm, point_D: np.ndarray, given: Mapping[str, Value] | None = None) -> dict[str, Value]:
    """The configuration at a point of the unit cube.

    Args:
        arm: The arm.
        point_D: Numbers in 0..1, at least `num_dimensions(arm)` of them; those beyond are not read. Axes follow the
            order of the file; a choice takes one axis, then as many as its largest branch, shared by position.
        given: Values that some parameters have wherever the point lies.
    """
    if len(point_D) < num_dimensions(arm):
        raise ValueError(f"arm {arm.name!r} needs {num_dimensions(arm)} axes, the point has {len(point_D)}")
    return dict(_locate(arm.parameters, [float(axis) for axis in point_D], given or {}))


def _locate(
    parameters: Mapping[str, Parameter], point: list[float], given: Mapping[str, Value]
) -> Iterator[tuple[str, Value]]:
    """Yields names and values, reading each parameter's axes from the front of the point."""
    axis = 0
    for name, parameter in parameters.items():
        own, axis = point[axis : axis + parameter.num_axes], axis + parameter.num_axes
        if not isinstance(parameter, Choices):
            yield name, given[name] if name in given else parameter.at(own[0] if own else 0.0)
            continue
        names = tuple(parameter.choices)
        chosen = names[min(int(own[0] * len(names)), len(names) - 1)] if len(names) > 1 else names[0]
        if name in given:
            chosen = str(given[name])
        yield name, chosen
        yield from _locate(parameter.choices[chosen], own[len(names) > 1 :], given)


def build_grid(arm: Arm, constraints: tuple[Constraint, ...] = ()) -> tuple[dict[str, Value], ...]:
    """Every configuration of an arm that fulfils the constraints, the last parameter of the file changing fastest.

    Raises:
        ValueError: The arm has a continuous parameter.
    """
    if size(arm) is None:
        raise ValueError(f"arm {arm.name!r} has a continuous parameter, so its configurations cannot be listed")
    return tuple(each for each in _list_all(arm.parameters) if fulfils(each, constraints))


def _list_all(parameters: Mapping[str, Parameter]) -> Iterator[dict[str, Value]]:
    options = [
        [{name: value, **settings} for value, settings in _list_one(parameter)]
        for name, parameter in parameters.items()
    ]
    for combination in product(*options):
        yield {name: value for part in combination for name, value in part.items()}


def _list_one(parameter: Parameter) -> Iterator[tuple[Value, dict[str, Value]]]:
    """Yields each value with the settings that come with it."""
    if not isinstance(parameter, Choices):
        for value in parameter.list_values():
            yield value, {}
        return
    for name, settings in parameter.choices.items():
        for rest in _list_all(settings):
            yield name, rest


def contains(arm: Arm, parameters: Mapping[str, Value]) -> bool:
    """Whether an arm's space has these values: every one that is given fits, and constants are as they are there."""
    return set(parameters) <= _match(arm.parameters, parameters)


def _match(space: Mapping[str, Parameter], values: Mapping[str, Value]) -> set[str]:
    """The names of a space, those of the branches chosen among them, whose value is in its domain."""
    fitting: set[str] = set()
    for name, parameter in space.items():
        if not isinstance(parameter, Choices):
            if name in values and parameter.contains(values[name]):
                fitting.add(name)
            continue
        options = [str(values[name])] if name in values else list(parameter.choices)
        if name in values and options[0] in parameter.choices:
            fitting.add(name)
        branches = [_match(parameter.choices[option], values) for option in options if option in parameter.choices]
        fitting |= max(branches, key=len, default=set())
    return fitting


def list_branch(arm: Arm, parameters: Mapping[str, Value]) -> tuple[str, ...]:
    """Names of an arm's parameters, of choices those of the branch that some values have taken."""
    return tuple(path[-1] for path, _ in walk(arm.parameters, parameters))


def searched(arm: Arm) -> tuple[str, ...]:
    """Names of the parameters that vary within the arm, those of choices included, each once."""
    return tuple(dict.fromkeys(list_varying(arm.parameters)))


def list_varying(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """The names of parameters with more than one value, those inside choices too."""
    return (path[-1] for path, parameter in walk(parameters) if parameter.varies)


def size(arm: Arm) -> int | None:
    """Number of distinct configurations of an arm; None when a parameter is continuous."""
    return count_configurations(arm.parameters)
