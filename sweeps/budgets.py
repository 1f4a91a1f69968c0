"""How many trials a sweep may take: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeps.space import Arm, size, trials_per_arm

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec


def num_search_trials(spec: SweepSpec, arms: tuple[Arm, ...]) -> dict[str, int | None]:
    """How many search trials each arm gets at most; None where only time ends the search. A grid ends with itself."""
    limit = trials_per_arm(spec)
    sizes = {arm.name: size(arm) if spec.method == "grid" else None for arm in arms}
    return {arm: min(filter(None, (limit, size)), default=None) for arm, size in sizes.items()}


def num_confirm_trials(spec: SweepSpec) -> int:
    """How many retrainings each arm gets at most."""
    return spec.confirm.top * spec.confirm.seeds
