"""Which configuration a trial gets: one proposer per arm, and the table of methods."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.confirm import derive_seed
from sweeps.space import Arm, build_grid, from_unit_cube, num_dimensions, sample, to_suggestions
from tracking.names import TrialState
from trainer.config import Value

if TYPE_CHECKING:
    import optuna

    from sweeps.ledger import TrialEntry
    from sweeps.spec import SweepSpec


class Proposer(ABC):
    """Proposes the search trials of one arm, numbered from 0, and hears how they went."""

    @abstractmethod
    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the parameters of search trial `number`; None when there is nothing left to try."""

    def tell(self, entry: TrialEntry) -> None:  # noqa: B027  # most methods do not listen
        """Takes in the outcome of a trial that has ended."""

    def recall(self, entry: TrialEntry) -> None:  # noqa: B027
        """Takes in a trial that an earlier driver of the sweep proposed, ended or not; in the order of numbers."""


class GridProposer(Proposer):
    """Every combination of the arm's values, once, in the order of the file."""

    def __init__(self, arm: Arm) -> None:
        self._points = build_grid(arm)

    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the next combination."""
        return dict(self._points[number]) if number < len(self._points) else None


class RandomProposer(Proposer):
    """Independent draws; number n is the same whatever the order in which trials finish."""

    def __init__(self, arm: Arm, seed: int) -> None:
        self._arm = arm
        self._seed = seed

    def propose(self, number: int) -> dict[str, Value]:
        """Returns draw `number`."""
        import numpy as np

        rng = np.random.default_rng((self._seed, number))
        return from_unit_cube(self._arm, rng.random(num_dimensions(self._arm)))


_SOBOL_DIMENSIONS = 64


class SobolProposer(Proposer):
    """Points of a scrambled Sobol' sequence: more even than random draws, and the same points for every arm.

    Source: Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points"; scipy.stats.qmc.Sobol.
    """

    def __init__(self, arm: Arm, seed: int) -> None:
        self._arm = arm
        self._seed = seed

    def propose(self, number: int) -> dict[str, Value]:
        """Returns point `number` of the sequence."""
        from scipy.stats import qmc

        # Scrambling depends on the number of dimensions, so every arm reads the first coordinates of the same points.
        sequence = qmc.Sobol(max(_SOBOL_DIMENSIONS, num_dimensions(self._arm)), scramble=True, rng=self._seed)
        if number:  # SciPy 1.17 cannot fast-forward by 0
            sequence.fast_forward(number)
        return from_unit_cube(self._arm, sequence.random(1)[0, : num_dimensions(self._arm)])


class BayesProposer(Proposer):
    """Tree-structured Parzen estimator in an Optuna study of the arm's own, kept in memory.

    Optuna hears the truth: COMPLETE with the best score, PRUNED with the score at the rung where a trial was stopped,
    FAIL for a diverged, failed or interrupted one. Proposal n follows from the seed, n and the trials before it: the
    sampler starts anew for each, so that a study that is told of the same trials again goes on alike.

    Source: Bergstra et al. 2011; Optuna's TPESampler. Deviation: the number of random start-up trials is a third of the
    arm's budget, between 3 and Optuna's 10, since small budgets would otherwise never leave the start-up.
    """

    def __init__(self, arm: Arm, seed: int, goal: str, num_trials: int | None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._arm = arm
        self._seed = seed
        self._num_startup = 10 if num_trials is None else min(10, max(3, num_trials // 3))
        self._study = optuna.create_study(direction=goal, pruner=optuna.pruners.NopPruner())
        self._trials: dict[int, optuna.Trial] = {}

    @property
    def study(self) -> optuna.Study:
        """The arm's study, for reading."""
        return self._study

    def propose(self, number: int) -> dict[str, Value]:
        """Asks the study."""
        import optuna

        self._study.sampler = optuna.samplers.TPESampler(
            seed=derive_seed(self._seed, number), n_startup_trials=self._num_startup
        )
        trial = self._study.ask()
        self._trials[number] = trial
        return sample(self._arm, trial)

    def recall(self, entry: TrialEntry) -> None:
        """Puts the trial back into the study."""
        self._study.enqueue_trial(to_suggestions(self._arm, entry.parameters))
        self.propose(entry.number)
        if entry.ended:
            self.tell(entry)

    def tell(self, entry: TrialEntry) -> None:
        """Closes the trial in the study."""
        import optuna

        trial = self._trials.pop(entry.number)
        if entry.epoch and math.isfinite(entry.last_score):  # TPE would take a NaN for a value
            trial.report(entry.last_score, entry.epoch)
        if entry.state is TrialState.COMPLETED and math.isfinite(entry.best_score):
            self._study.tell(trial, entry.best_score)
        elif entry.state is TrialState.EARLY_STOPPED:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)


@dataclass(frozen=True)
class Method:
    """One way to search: a row of the table."""

    name: str
    description: str
    source: str
    build: Callable[[Arm, SweepSpec, int, int | None], Proposer]  # arm, spec, seed, number of trials


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "grid",
            "every combination of the listed values",
            "exhaustive enumeration",
            lambda arm, spec, seed, num_trials: GridProposer(arm),  # noqa: ARG005
        ),
        Method(
            "random",
            "independent draws",
            "Bergstra and Bengio 2012",
            lambda arm, spec, seed, num_trials: RandomProposer(arm, seed),  # noqa: ARG005
        ),
        Method(
            "sobol",
            "evenly spread points, the same for every arm",
            "Owen 1998; scipy.stats.qmc.Sobol",
            lambda arm, spec, seed, num_trials: SobolProposer(arm, derive_seed(spec.seed, "sobol")),  # noqa: ARG005
        ),
        Method(
            "bayes",
            "tree-structured Parzen estimator (TPE)",
            "Bergstra et al. 2011; optuna.samplers.TPESampler",
            lambda arm, spec, seed, num_trials: BayesProposer(arm, seed, spec.metric.goal, num_trials),
        ),
    )
}
