"""The arms of a sweep, and how many trials each of them gets. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeps.search.methods import METHODS
from sweeps.space.arms import Arm, build_grid, size, split_arms
from sweeps.space.constraints import parse_constraint
from sweeps.space.defaults import build_default
from sweeps.space.distributions import Constant
from sweeps.space.parameters import Choices, walk
from sweeps.spec import SweepSpec
from trainer.config import SETTINGS, TABLES, Value
from trainer.config.own_rows import is_own

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec


def build_arms(spec: SweepSpec) -> tuple[Arm, ...]:
    """The arms of a sweep, in the order of the file; one arm named "all" without `compare`."""
    return split_arms(spec.parameters, spec.compare) if spec.compare else (Arm("all", spec.parameters),)


def trials_per_arm(spec: SweepSpec) -> int | None:
    """Trials that the budget allows each arm; None when the budget does not count trials."""
    if spec.budget.trials_per_arm is not None:
        return spec.budget.trials_per_arm
    return None if spec.num_trials is None else spec.num_trials // len(build_arms(spec))


def num_search_trials(spec: SweepSpec, arms: tuple[Arm, ...]) -> dict[str, int | None]:
    """How many search trials each arm gets at most; None where only time ends the search. A grid ends with itself."""
    limit = trials_per_arm(spec)
    sizes = {arm.name: _count_grid(spec, arm) if METHODS[spec.method].is_exhaustive else None for arm in arms}
    return {arm: min(filter(None, (limit, size)), default=None) for arm, size in sizes.items()}


def _count_grid(spec: SweepSpec, arm: Arm) -> int | None:
    if not spec.constraints:
        return size(arm)
    return len(build_grid(arm, tuple(map(parse_constraint, spec.constraints))))


def num_confirm_trials(spec: SweepSpec) -> int:
    """How many retrainings each arm gets at most, those of the selection and of its defaults included."""
    confirm = spec.confirm
    if not confirm.top:
        return 0
    num_selected = confirm.select.top * confirm.select.seeds if confirm.select else 0
    return num_selected + (confirm.top + confirm.defaults) * confirm.seeds


def build_defaults(spec: SweepSpec) -> dict[str, dict[str, Value]]:
    """Arm -> its untuned configuration, where the file asks for them; {} where it does not."""
    return {arm.name: build_default(arm) for arm in build_arms(spec)} if spec.confirm.defaults else {}


def list_own(spec: SweepSpec) -> tuple[str, ...]:
    """The dotted paths to code of the user's that a sweep can train with."""
    found: list[object] = []
    for path, parameter in walk(spec.parameters):
        if path[-1] in TABLES:
            found += list(parameter.choices) if isinstance(parameter, Choices) else parameter.ends()
    return tuple(dict.fromkeys(str(each) for each in found if is_own(each)))


def constant_of(spec: SweepSpec, name: str) -> Any:
    """The value that a parameter has in all trials; its default where the file does not have it or varies it."""
    parameter = spec.parameters.get(name)
    return parameter.value if isinstance(parameter, Constant) else SETTINGS[name].default
