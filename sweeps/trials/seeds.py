"""Seeds by purpose: pure."""

from __future__ import annotations

from trainer.randomness import stream_seed


def derive_seed(sweep_seed: int, *purpose: str | int) -> int:
    """A seed in 0..2**31-1 for one purpose within a sweep: independent of the order in which seeds are asked for."""
    return stream_seed(sweep_seed, *purpose) >> 33


def trial_seed(sweep_seed: int, number: int) -> int:
    """The seed of an arm's search trial `number`: the same for every arm, so that arms meet the same luck."""
    return derive_seed(sweep_seed, "search", number)
