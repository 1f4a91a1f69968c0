"""Which configurations are retrained in full after the search, and with which seeds: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.trials.seeds import derive_seed
from trainer.config import Value

if TYPE_CHECKING:
    from sweeps.trials.ledger import TrialEntry


@dataclass(frozen=True)
class ConfirmTrial:
    """One retraining: `rank` of its configuration within the arm (0 = best), `repeat` counts the seeds."""

    rank: int
    repeat: int
    seed: int
    parameters: Mapping[str, Value]


def build_confirm_trials(
    ranking: Sequence[TrialEntry], *, top: int, seeds: int, sweep_seed: int
) -> tuple[ConfirmTrial, ...]:
    """Retrainings of the best `top` configurations with `seeds` fresh seeds, which are the same for all arms (paired).

    Args:
        ranking: An arm's search trials, best first (`Ledger.ranking`); two with the same parameters count once.
        top: How many configurations.
        seeds: How often each of them is trained again.
        sweep_seed: The seed of the sweep file.
    """
    distinct: list[dict[str, Value]] = []
    for entry in ranking:
        parameters = {name: value for name, value in entry.parameters.items() if name != "seed"}
        if parameters not in distinct:
            distinct.append(parameters)
    return tuple(
        ConfirmTrial(rank, repeat, seed, {**parameters, "seed": seed})
        for rank, parameters in enumerate(distinct[:top])
        for repeat in range(seeds)
        for seed in (derive_seed(sweep_seed, "confirm", repeat),)
    )
