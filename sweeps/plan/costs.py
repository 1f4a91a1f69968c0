"""Which settings of a trial decide what an epoch of it costs: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from sweeps.errors import BadUsage
from sweeps.search.methods import METHODS
from sweeps.space.arms import Arm, build_grid, from_unit_cube, num_dimensions, size
from sweeps.space.constraints import fulfils, parse_constraint
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
_MAX_DRAWS = 4_000  # of all arms together
_MAX_LOOKS = 50_000  # of all arms together, at configurations of which one has to fulfil the constraints
_MIN_LOOKS = 1_000  # of an arm


MAX_COSTS = 8  # that are measured


def draw_configurations(spec: SweepSpec) -> dict[str, list[dict[str, Value]]]:
    """Configurations that stand for those of each arm: all of a small grid, else random draws.

    Raises:
        BadUsage: None was found that fulfils the constraints.
    """
    constraints = tuple(map(parse_constraint, spec.constraints))
    arms = build_arms(spec)
    num_draws = max(4, min(NUM_DRAWS, _MAX_DRAWS // len(arms)))
    num_looks = max(_MIN_LOOKS, _MAX_LOOKS // len(arms))
    found: dict[str, list[dict[str, Value]]] = {}
    for arm in arms:
        num_points = size(arm)
        if METHODS[spec.method].is_exhaustive and num_points is not None and num_points <= num_draws:
            found[arm.name] = list(build_grid(arm, constraints))
        else:
            drawn = _draw(arm, derive_seed(spec.seed, "plan"), num_looks)
            found[arm.name] = list(islice((each for each in drawn if fulfils(each, constraints)), num_draws))
        if not found[arm.name]:
            raise BadUsage(f"constraints: no configuration of arm {arm.name} was found that fulfils them; change one")
    return found


def _draw(arm: Arm, seed: int, count: int) -> Iterator[dict[str, Value]]:
    """Yields configurations of an arm, drawn at random, whether they fulfil the constraints or not."""
    import numpy as np

    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield from_unit_cube(arm, rng.random(num_dimensions(arm)))


def count_costs(spec: SweepSpec) -> dict[CostKey, tuple[int, dict[str, Value]]]:
    """Each cost that trials of a sweep may have: how often it was drawn and, to be measured, who has it; often first.

    Of those that have it, the one with the lowest learning rate stands for it, as the least likely to diverge.
    """
    drawn = [each for own in draw_configurations(spec).values() for each in own]
    keys = [build_cost_key(each) for each in drawn]
    counts = Counter(keys)
    by_rate = sorted(zip(keys, drawn, strict=True), key=lambda pair: -_read_number(pair[1].get("lr")))
    examples = dict(by_rate)
    return {key: (count, examples[key]) for key, count in counts.most_common()}


def find_differing(keys: Collection[CostKey]) -> frozenset[str]:
    """The settings in which costs differ; those that not all have follow from one that all have."""
    values: dict[str, set[Value]] = {}
    num_costs = Counter(name for key in keys for name, _ in key)
    for key in keys:
        for name, value in key:
            values.setdefault(name, set()).add(value)
    return frozenset(name for name, found in values.items() if len(found) > 1 and num_costs[name] == len(keys))


def _read_number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def list_measured(spec: SweepSpec) -> dict[CostKey, dict[str, Value]]:
    """The costs that are measured: the most frequent ones, with a configuration that has each."""
    return {key: example for key, (_, example) in islice(count_costs(spec).items(), MAX_COSTS)}
