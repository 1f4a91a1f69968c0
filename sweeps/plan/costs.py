"""Which settings of a trial decide what an epoch of it costs: pure."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.config.config import Value, build_trial_config

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
