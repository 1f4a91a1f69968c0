"""Optuna's storage in memory, in which a trial that was told may be opened again. Imported where it is used."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.config import Value


class ReopeningStorage(InMemoryStorage):  # type: ignore[misc]  # mypy follows no import of Optuna
    """Trials of one study. Optuna closes a trial once and for all; one that was paused goes on."""

    def reopen(self, trial_id: int) -> None:
        """Makes a trial run again, as if nothing had been told of it.

        Args:
            trial_id: Optuna's id.
        """
        trial = copy.copy(self._get_trial(trial_id))
        trial.state, trial.values, trial.datetime_complete = TrialState.RUNNING, None, None
        trial.intermediate_values = {}
        self._set_trial(trial_id, trial)

    def replace_params(self, trial_id: int, suggestions: Mapping[str, Value]) -> None:
        """Gives a trial the values that one with these suggestions would have.

        Args:
            trial_id: Optuna's id.
            suggestions: Of all of its parameters, by Optuna's names.
        """
        trial = copy.copy(self._get_trial(trial_id))
        trial.params = {
            name: distribution.to_external_repr(distribution.to_internal_repr(suggestions[name]))
            for name, distribution in trial.distributions.items()
        }
        self._set_trial(trial_id, trial)
