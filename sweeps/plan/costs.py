"""Which settings of a trial decide what an epoch of it costs: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from sweeps.search.methods import METHODS
from sweeps.search.proposer import ArmSearch
from sweeps.search.sampling import RandomProposer
from sweeps.space.arms import Arm, build_grid, size
from sweeps.space.constraints import parse_constraint
from sweeps.spec.arms import build_arms
from sweeps.trials.seeds import derive_seed
from trainer.config import Value, build_trial_config

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec

CostKey = tuple[tuple[str, Value], ...]

# Whatever they are, a step takes as long.
_FREE = frozenset(
    ("seed", "epochs", "data_dir", "early_stopping_patience", "early_stopping_min_delta", "warmup_epochs", "flip")
)
_FREE_TABLES = ("initializer", "schedule", "loss")


def build_cost_key(parameters: Mapping[str, Value]) -> CostKey:
    """What tells one cost from another: trials with equal keys take equally long, give or take a little.

    Of settings that are real numbers it only matters whether they are there, or zero; but for those of the model, whose
    width is one.

    Raises:
        ConfigError: The parameters are no configuration.
    """
    config = build_trial_config(parameters)
    exact = set(config.model.settings)
    free = set(_FREE)
    for table in _FREE_TABLES:
        free |= {table, *getattr(config, table).settings}
    return tuple(
        (name, bool(value) if isinstance(value, float) and name not in exact else value)
        for name, value in config.to_parameters().items()
        if name not in free
    )


NUM_DRAWS = 64  # configurations of each arm whose costs stand for all


MAX_COSTS = 8  # that are measured


def draw_configurations(spec: SweepSpec, arm: Arm) -> list[dict[str, Value]]:
    """Configurations that stand for those of an arm: all of a small grid, else random draws."""
    constraints = tuple(map(parse_constraint, spec.constraints))
    num_points = size(arm)
    if METHODS[spec.method].is_exhaustive and num_points is not None and num_points <= NUM_DRAWS:
        return list(build_grid(arm, constraints))
    proposer = RandomProposer(ArmSearch(arm, derive_seed(spec.seed, "plan"), constraints=constraints))
    draws = (proposer.propose(number) for number in range(NUM_DRAWS))
    return [each for each in draws if each is not None]


def count_costs(spec: SweepSpec) -> dict[CostKey, tuple[int, dict[str, Value]]]:
    """Each cost that trials of a sweep may have: how often it was drawn and, to be measured, who has it; often first.

    Of those that have it, the one with the lowest learning rate stands for it, as the least likely to diverge.
    """
    drawn = [each for arm in build_arms(spec) for each in draw_configurations(spec, arm)]
    counts = Counter(build_cost_key(each) for each in drawn)
    examples: dict[CostKey, dict[str, Value]] = {}
    for each in sorted(drawn, key=lambda parameters: -_read_number(parameters.get("lr"))):
        examples[build_cost_key(each)] = each
    return {key: (count, examples[key]) for key, count in counts.most_common()}


def tell_apart(key: CostKey, others: Mapping[CostKey, object]) -> dict[str, Value]:
    """The settings of a cost in which the others differ; those that not all have follow from one that all have."""
    others_by_name = [dict(other) for other in others]
    return {
        name: value
        for name, value in key
        if all(name in other for other in others_by_name) and any(other[name] != value for other in others_by_name)
    }


def _read_number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def list_measured(spec: SweepSpec) -> dict[CostKey, dict[str, Value]]:
    """The costs that are measured: the most frequent ones, with a configuration that has each."""
    return {key: example for key, (_, example) in islice(count_costs(spec).items(), MAX_COSTS)}
