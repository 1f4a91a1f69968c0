"""The parameters that all trials of a study have: pure bookkeeping."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.distributions import BaseDistribution


class SharedSpace:
    """Counts which parameters the trials have that have come to something: those of all of them can be drawn together.

    Within an arm a name stands for one distribution.
    """

    def __init__(self) -> None:
        self._num_trials = 0
        self._num_with: Counter[str] = Counter()  # name -> trials that have it
        self._distributions: dict[str, BaseDistribution] = {}

    def add(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Takes in a trial."""
        self._num_trials += 1
        self._num_with.update(distributions.keys())
        self._distributions.update(distributions)

    def remove(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Takes a trial out that goes on."""
        self._num_trials -= 1
        self._num_with.subtract(distributions.keys())

    def list_varying(self) -> dict[str, BaseDistribution]:
        """The distributions of more than one value that all trials have, by their names, in the order of these."""
        return {
            name: distribution
            for name, distribution in sorted(self._distributions.items())
            if self._num_with[name] == self._num_trials > 0 and not distribution.single()
        }
