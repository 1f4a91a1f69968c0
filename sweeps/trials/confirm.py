"""Which configurations are retrained in full after the search, and with which seeds: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.config.config import Value

if TYPE_CHECKING:
    from sweeps.spec.models import Confirm
    from sweeps.trials.ledger import TrialEntry


@dataclass(frozen=True)
class ConfirmTrial:
    """One retraining: `rank` of its configuration within the arm (0 = best), `repeat` counts the seeds."""

    rank: int
    repeat: int
    seed: int
    parameters: Mapping[str, Value]


def derive_seed(sweep_seed: int, *purpose: str | int) -> int:
    """A seed in 0..2**31-1 for one purpose within a sweep: independent of the order in which seeds are asked for."""
    text = "/".join(str(part) for part in (sweep_seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def trial_seed(sweep_seed: int, number: int) -> int:
    """The seed of an arm's search trial `number`: the same for every arm, so that arms meet the same luck."""
    return derive_seed(sweep_seed, "search", number)


def build_confirm_trials(ranking: Sequence[TrialEntry], confirm: Confirm, sweep_seed: int) -> tuple[ConfirmTrial, ...]:
    """Retrainings of the best `top` configurations with `seeds` fresh seeds, which are the same for all arms (paired).

    Args:
        ranking: An arm's search trials, best first (`Ledger.ranking`); two with the same parameters count once.
        confirm: How many configurations and seeds.
        sweep_seed: The seed of the sweep file.
    """
    distinct: list[dict[str, Value]] = []
    for entry in ranking:
        parameters = {name: value for name, value in entry.parameters.items() if name != "seed"}
        if parameters not in distinct:
            distinct.append(parameters)
    return tuple(
        ConfirmTrial(rank, repeat, seed, {**parameters, "seed": seed})
        for rank, parameters in enumerate(distinct[: confirm.top])
        for repeat in range(confirm.seeds)
        for seed in (derive_seed(sweep_seed, "confirm", repeat),)
    )
