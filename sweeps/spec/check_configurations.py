"""Faults of configurations that the trainer would refuse, and of constraints that no configuration fulfils."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sweeps.reader.faults import Faults
from sweeps.reader.tree import KeyPath
from sweeps.space.constraints import Constraint, ConstraintError, fulfils
from sweeps.space.parameters import Choices, Parameter
from trainer.config import ConfigError, Value, build_trial_config
from trainer.config.changes import CHANGES

MAX_SAMPLES = 600  # configurations tried per file; one takes about 30 microseconds
MAX_CHANGING = 20  # of those tried with their changes, each of which is a configuration of its own; up to 40 ms


@dataclass(frozen=True)
class Leaf:
    """One parameter of a branch: what it is there and where it was written."""

    name: str
    parameter: Parameter
    path: KeyPath


def check_configurations(branches: list[list[Leaf]], constraints: tuple[Constraint, ...], faults: Faults) -> None:
    """Builds trial configurations at the corners of each branch and adds one fault for each parameter that fails.

    Args:
        branches: Every combination of table rows and choices, each with the parameters that are drawn in it.
        constraints: Configurations that do not fulfil them are never drawn, and not looked at.
        faults: Gains what is wrong.
    """
    at_fault = {
        _find_scope(tuple(fault.key_path.split("."))) for fault in faults if fault.key_path.startswith("parameters")
    }
    reported: set[KeyPath] = set()
    num_changing = 0
    for branch in branches:
        scopes = {_find_scope(leaf.path) for leaf in branch} | {("parameters",)}
        if scopes & at_fault:
            continue
        paths = {leaf.name: leaf.path for leaf in branch}
        num_tried = max(4, MAX_SAMPLES // len(branches))
        tried: set[Value] = set()
        for configuration in islice(_list_corners(branch), num_tried):
            if not fulfils(configuration, constraints):
                continue
            if configuration.get(CHANGES) in tried or num_changing >= MAX_CHANGING:
                configuration.pop(CHANGES, None)
            elif CHANGES in configuration:
                tried.add(configuration[CHANGES])
                num_changing += 1
            try:
                build_trial_config(configuration)
            except ConfigError as error:
                for fault in error.faults:
                    path = paths.get(fault.parameter, ("parameters", fault.parameter))
                    if path not in reported:
                        faults.at_key(path, fault.message)
                        reported.add(path)
    if constraints and not at_fault and not reported:
        _find_unmet(branches, constraints, faults)


def _find_unmet(branches: list[list[Leaf]], constraints: tuple[Constraint, ...], faults: Faults) -> None:
    """Faults of constraints that cannot be computed, or that hardly any configuration fulfils."""
    generator = random.Random(0)
    some = branches if len(branches) <= MAX_SAMPLES // 4 else generator.sample(branches, MAX_SAMPLES // 4)
    drawn = [
        {leaf.name: _draw(leaf.parameter, generator) for leaf in branch}
        for branch in some
        for _ in range(MAX_SAMPLES // len(some))
    ]
    for index, constraint in enumerate(constraints):
        try:
            held = [constraint.holds(configuration) for configuration in drawn]
        except ConstraintError as error:
            faults.at_item("constraints", index, str(error))
            return
        if not any(held):
            message = f"none of {len(drawn)} configurations drawn at random fulfils {constraint.text!r}; change it"
            faults.at_item("constraints", index, message)
            return
    if not any(fulfils(configuration, constraints) for configuration in drawn):
        message = f"none of {len(drawn)} configurations drawn at random fulfils all of them; change one"
        faults.at_key(("constraints",), message)


def _draw(parameter: Parameter, generator: random.Random) -> Value:
    if isinstance(parameter, Choices):
        return generator.choice(list(parameter.choices))
    return parameter.at(generator.random())


def _find_scope(path: KeyPath) -> KeyPath:
    """The innermost choice that a key path lies in, or the parameters as a whole."""
    inner = max((index for index, key in enumerate(path[:-1]) if key == "choices"), default=None)
    return ("parameters",) if inner is None else path[: inner + 2]


def _list_corners(branch: list[Leaf]) -> Iterator[dict[str, Value]]:
    """Yields the lowest and the highest configuration, each with one parameter moved, then random mixtures."""
    ends = {leaf.name: _list_ends(leaf.parameter) for leaf in branch}
    lowest, highest = ({name: values[side] for name, values in ends.items()} for side in (0, -1))
    yield lowest
    yield highest
    for name, values in ends.items():
        for value in values:
            yield {**lowest, name: value}
            yield {**highest, name: value}
    generator = random.Random(0)  # the same faults each time
    for _ in range(16):
        yield {name: generator.choice(values) for name, values in ends.items()}


def _list_ends(parameter: Parameter) -> list[Value]:
    """The outermost values of a range, every value of a list."""
    return list(parameter.choices) if isinstance(parameter, Choices) else parameter.ends()
