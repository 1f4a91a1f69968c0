"""Optuna's TPE, with what it works out anew for each proposal kept from one to the next. Imported where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.samplers import TPESampler

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from sweeps.search.shared_space import SharedSpace


class SharedSpaceTpe(TPESampler):  # type: ignore[misc]  # mypy follows no import of Optuna
    """TPE that is told which parameters all trials have.

    Optuna's own finds that out by comparing the distributions of all trials, in each proposal of a sampler that is new:
    after 500 trials the larger part of a proposal's time.
    """

    def __init__(self, shared: SharedSpace, *, seed: int, n_startup_trials: int) -> None:
        super().__init__(seed=seed, n_startup_trials=n_startup_trials)
        self._shared = shared

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """What is drawn together; nothing where there are several metrics, as in Optuna."""
        return {} if len(study.directions) > 1 else self._shared.list_varying()
