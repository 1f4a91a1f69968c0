"""Proposers that learn: an Optuna study of the arm's own, kept in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sweeps.confirm import derive_seed
from sweeps.constraints import fulfils
from sweeps.ledger import is_better
from sweeps.proposers import MAX_DRAWS, Proposer, Search
from sweeps.space import sample, to_suggestions
from tracking.names import TrialState
from trainer.config import Value

if TYPE_CHECKING:
    import optuna

    from sweeps.ledger import TrialEntry

BuildSampler = Callable[[Search, int], "optuna.samplers.BaseSampler"]  # (search, seed)


class StudyProposer(Proposer):
    """Asks an Optuna sampler.

    Optuna hears COMPLETE with the best score, PRUNED with the score at the rung where a trial was stopped, FAIL for a
    failed or interrupted one, unless the sweep imputes a score. It would ignore a diverged one as FAIL, and propose
    others like it without end. So it hears PRUNED without a score, which TPE takes for worse than all that have one;
    or, where the method does not learn from what was stopped, the worst score so far. Of several metrics it hears the
    values of completed trials, and FAIL of all others. Proposal n follows from the seed, n and the trials
    before it: the sampler starts anew for each, so that a study that is told of the same trials again
    goes on alike. (To the bit, but for distributions that Optuna does not have, whose values, rounded to multiples of
    q, do not tell which quantile they came from.)

    Args:
        search: The arm's search.
        build_sampler: Makes the sampler of one proposal.
        learns_from_stopped: Whether the sampler learns from PRUNED.
    """

    def __init__(self, search: Search, build_sampler: BuildSampler, *, learns_from_stopped: bool = False) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._build_sampler = build_sampler
        self._learns_from_stopped = learns_from_stopped
        directions = [metric.direction for metric in search.metrics] or [search.goal]
        self._study = optuna.create_study(directions=directions, pruner=optuna.pruners.NopPruner())
        self._trials: dict[int, optuna.Trial] = {}
        self._worst = math.nan  # score that Optuna was told

    @property
    def study(self) -> optuna.Study:
        """The arm's study, for reading."""
        return self._study

    def propose(self, number: int) -> dict[str, Value] | None:
        """Asks the study until a configuration fulfils the constraints."""
        import optuna

        search = self._search
        if given := search.point(number):
            self._study.enqueue_trial(to_suggestions(search.arm, given))
        for attempt in range(MAX_DRAWS):
            seed = (search.seed, number, attempt) if attempt else (search.seed, number)
            trial = self._ask(derive_seed(*seed))
            drawn = sample(search.arm, trial)
            if fulfils(drawn, search.constraints):
                self._trials[number] = trial
                return drawn
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if given:
                self._study.enqueue_trial(to_suggestions(search.arm, given))
        return None

    def recall(self, entry: TrialEntry) -> None:
        """Puts the trial back into the study."""
        self._trials[entry.number] = self._repeat(entry.parameters, derive_seed(self._search.seed, entry.number))

    def learn(self, parameters: Mapping[str, Value], score: float) -> None:
        """Adds a trial of an earlier sweep to the study."""
        self._keep_worst(score)
        self._study.tell(self._repeat(parameters, derive_seed(self._search.seed, "prior")), score)

    def tell(self, entry: TrialEntry) -> None:
        """Closes the trial in the study."""
        import optuna

        trial = self._trials.pop(entry.number)
        if self._search.metrics:
            self._tell_all(trial, entry)
            return
        diverged = entry.state is TrialState.DIVERGED
        if entry.epoch and math.isfinite(entry.last_score) and not diverged:  # TPE would take a NaN for a value
            trial.report(entry.last_score, entry.epoch)
        score = self._find_score(entry)
        if score is not None:
            self._keep_worst(score)
            self._study.tell(trial, score)
        elif entry.paused or entry.state is TrialState.EARLY_STOPPED or (diverged and self._learns_from_stopped):
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _tell_all(self, trial: optuna.Trial, entry: TrialEntry) -> None:
        """Closes a trial that is judged by several metrics: Optuna takes no part of one that was stopped."""
        import optuna

        values = [entry.values.get(metric.name, math.nan) for metric in self._search.metrics]
        if entry.state is TrialState.COMPLETED and all(map(math.isfinite, values)):
            self._study.tell(trial, values)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _keep_worst(self, score: float) -> None:
        if math.isnan(self._worst) or is_better(self._worst, score, self._search.goal):
            self._worst = score

    def _find_score(self, entry: TrialEntry) -> float | None:
        """What Optuna is told as the trial's value; None for none."""
        if entry.state is TrialState.COMPLETED and math.isfinite(entry.best_score):
            return entry.best_score
        impute = self._search.impute
        if impute is None and entry.state is TrialState.DIVERGED and not self._learns_from_stopped:
            impute = "worst"
        if impute is None or entry.state not in (TrialState.DIVERGED, TrialState.FAILED):
            return None
        own = {"best": entry.best_score, "latest": entry.last_score}.get(impute, math.nan)
        score = own if math.isfinite(own) else self._worst
        return score if math.isfinite(score) else None

    def _ask(self, seed: int) -> optuna.Trial:
        self._study.sampler = self._build_sampler(self._search, seed)
        return self._study.ask()

    def _repeat(self, parameters: Mapping[str, Value], seed: int) -> optuna.Trial:
        """A trial of the study that has these parameters."""
        self._study.enqueue_trial(to_suggestions(self._search.arm, parameters))
        trial = self._ask(seed)
        sample(self._search.arm, trial)
        return trial
