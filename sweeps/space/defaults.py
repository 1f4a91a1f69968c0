"""What an arm is without tuning: the configuration that its tuned settings have to beat. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sweeps.space.arms import Arm, list_branch
from sweeps.space.distributions import Constant
from sweeps.space.parameters import Choices, Parameter
from trainer.config import DEFAULT_ROWS, Value, build_trial_config


def build_default(arm: Arm) -> dict[str, Value]:
    """An arm's untuned configuration (tier 0 of the comparison's rules), with the names that its trials have.

    What the file fixes stays as it is. Everything that trials draw has the trainer's default, which for the settings of
    an optimizer is that of its library. Of rows to choose from it is the table's default row, or the first one.

    Args:
        arm: The arm.

    Raises:
        ConfigError: The arm cannot be trained so: a row without a default for one of its settings, or one that
            contradicts what is fixed.
    """
    fixed = dict(_list_fixed(arm.parameters))
    resolved = build_trial_config(fixed).to_parameters()
    return {
        name: fixed.get(name, resolved.get(name))
        for name in list_branch(arm, fixed)
        if name in fixed or name in resolved
    }


def _list_fixed(parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, Value]]:
    for name, parameter in parameters.items():
        if isinstance(parameter, Constant):
            yield name, parameter.value
        elif isinstance(parameter, Choices):
            rows = list(parameter.choices)
            row = DEFAULT_ROWS.get(name) if DEFAULT_ROWS.get(name) in rows else rows[0]
            assert row is not None
            yield name, row
            yield from _list_fixed(parameter.choices[row])
