"""Proposers that learn: an Optuna study of the arm's own, kept in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sweeps.search.proposer import MAX_DRAWS, ArmSearch, Proposer, to_key
from sweeps.search.shared_space import SharedSpace
from sweeps.space.arms import sample, size, to_suggestions
from sweeps.space.constraints import fulfils
from sweeps.trials.ledger import TrialPhase
from sweeps.trials.seeds import derive_seed
from tracking.names import TrialState
from tracking.ranking import Goal
from trainer.config import Value

if TYPE_CHECKING:
    import optuna

    from sweeps.trials.ledger import TrialEntry

BuildSampler = Callable[[ArmSearch, int, SharedSpace], "optuna.samplers.BaseSampler"]  # (search, seed, shared)

PATIENCE = 10  # draws of a proposal that repeat a trial, before it is drawn by chance: a sampler may insist on its best
MAX_REPEATS = 500  # before one of them is taken after all: constraints may exclude what is left


class StudyProposer(Proposer):
    """Asks an Optuna sampler.

    Optuna hears COMPLETE with the best score, PRUNED with the score at the rung where a trial was stopped, FAIL for a
    failed or interrupted one, unless the sweep imputes a score. It would ignore a diverged one as FAIL, and propose
    others like it without end. So it hears PRUNED without a score, which TPE takes for worse than all that have one;
    or, where the method does not learn from what was stopped, or goes by several metrics, the worst so far of each. Of
    several metrics it hears FAIL of what was stopped. Proposal n follows from the seed, n and the trials
    before it: the sampler starts anew for each, so that a study that is told of the same trials again
    goes on alike. (To the bit, but for distributions that Optuna does not have, whose values, rounded to multiples of
    q, do not tell which quantile they came from.)

    Args:
        search: The arm's search.
        build_sampler: Makes the sampler of one proposal.
        learns_from_stopped: Whether the sampler learns from PRUNED.
        remembers: Whether it keeps anything beside trials' parameters and outcomes, such as generations.
    """

    def __init__(
        self,
        search: ArmSearch,
        build_sampler: BuildSampler,
        *,
        learns_from_stopped: bool = False,
        remembers: bool = False,
    ) -> None:
        import optuna

        from sweeps.search.reopening import ReopeningStorage

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._build_sampler = build_sampler
        self._learns_from_stopped = learns_from_stopped
        self._goals = [Goal(metric.direction) for metric in search.metrics] or [search.goal]
        self._remembers = remembers
        self._storage, self._shared = ReopeningStorage(), SharedSpace()
        self._study = optuna.create_study(
            storage=self._storage, directions=self._goals, pruner=optuna.pruners.NopPruner()
        )
        self._trials: dict[int, optuna.Trial] = {}  # number -> trial that has not been told
        self._paused: dict[int, optuna.Trial] = {}
        self._drawn: dict[int, dict[str, Value]] = {}  # Optuna's id -> what was drawn since a trial was last reopened
        self._worst: list[float] = []  # of each metric, that Optuna was told
        self._run: set[frozenset[tuple[str, str]]] = set()  # configurations with a seed of their own
        self._num_points, self._has_seed = size(search.arm), "seed" in search.arm.parameters

    @property
    def study(self) -> optuna.Study:
        """The arm's study, for reading."""
        return self._study

    def propose(self, number: int) -> dict[str, Value] | None:
        """Asks the study until a configuration fulfils the constraints, and would not repeat a trial to the bit.

        One with the settings and the seed of another would. As long as there are others, it is not proposed again.
        """
        import optuna

        search = self._search
        if given := search.point(number):
            self._study.enqueue_trial(to_suggestions(search.arm, given))
        num_repeats = 0
        for attempt in range(MAX_DRAWS):
            seed = derive_seed(*((search.seed, number, attempt) if attempt else (search.seed, number)))
            trial = self._ask(seed) if num_repeats < PATIENCE else self._draw(seed)
            drawn = sample(search.arm, trial)
            repeats = num_repeats < MAX_REPEATS and not given and self._repeats(drawn)
            num_repeats += repeats
            if fulfils(drawn, search.constraints) and not repeats:
                self._note(drawn)
                self._trials[number] = trial
                self._drawn[trial._trial_id] = drawn
                return drawn
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if given:
                self._study.enqueue_trial(to_suggestions(search.arm, given))
        return None

    def _repeats(self, drawn: Mapping[str, Value]) -> bool:
        """Whether a trial had the same settings and seed, and there are others to try."""
        return to_key(drawn) in self._run and (self._num_points is None or len(self._run) < self._num_points)

    def _note(self, parameters: Mapping[str, Value]) -> None:
        if self._has_seed:  # else every trial is given one of its own
            self._run.add(to_key(parameters))

    def recall(self, entry: TrialEntry) -> None:
        """Puts the trial back into the study."""
        self._note(entry.parameters)
        self._trials[entry.number] = self._repeat(entry.parameters, derive_seed(self._search.seed, entry.number))

    def learn(self, parameters: Mapping[str, Value], score: float) -> None:
        """Adds a trial of an earlier sweep to the study."""
        self._keep_worst([score])
        trial = self._repeat(parameters, derive_seed(self._search.seed, "prior"))
        self._study.tell(trial, score)
        self._shared.add(trial.distributions)

    def tell(self, entry: TrialEntry) -> None:
        """Closes the trial in the study."""
        import optuna

        trial, single = self._trials.pop(entry.number), not self._search.metrics
        diverged = entry.state is TrialState.DIVERGED
        # TPE would take a NaN for a value.
        if single and entry.epoch and math.isfinite(entry.last_score) and not diverged:
            trial.report(entry.last_score, entry.epoch)
        values = self._find_values(entry)
        stopped = entry.phase is TrialPhase.PAUSED or entry.state is TrialState.EARLY_STOPPED
        if values is not None:
            self._keep_worst(values)
            self._study.tell(trial, values)
        elif single and (stopped or (diverged and self._learns_from_stopped)):
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:  # of several metrics Optuna takes no part of a trial that was stopped
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if self._counts(trial):
            self._shared.add(trial.distributions)
        if entry.phase is TrialPhase.PAUSED:
            self._paused[entry.number] = trial

    def reopen(self, entry: TrialEntry) -> bool:
        """Takes back what the study was told of a paused trial: it is then as if made anew with all other outcomes."""
        trial = self._paused.get(entry.number)
        if self._remembers or trial is None:
            return False
        if self._counts(trial):
            self._shared.remove(trial.distributions)
        self._storage.reopen(trial._trial_id)
        for trial_id, drawn in self._drawn.items():  # a study that is made anew knows what was drawn as it was rounded
            self._storage.replace_params(trial_id, to_suggestions(self._search.arm, drawn))
        self._drawn.clear()
        self._trials[entry.number] = self._paused.pop(entry.number)
        return True

    def _counts(self, trial: optuna.Trial) -> bool:
        """Whether samplers look at a trial that was told."""
        from optuna.trial import TrialState

        return self._storage.get_trial(trial._trial_id).state in (TrialState.COMPLETE, TrialState.PRUNED)

    def _find_values(self, entry: TrialEntry) -> list[float] | None:
        """What Optuna is told of each metric; None for nothing."""
        metrics, impute = self._search.metrics, self._search.impute
        best = [entry.values.get(metric.name, math.nan) for metric in metrics] or [entry.best_score]
        if entry.state is TrialState.COMPLETED and all(map(math.isfinite, best)):
            return best
        if entry.state is TrialState.DIVERGED and (metrics or not self._learns_from_stopped):
            impute = impute or "worst"
        if impute is None or entry.state not in (TrialState.DIVERGED, TrialState.FAILED):
            return None
        own = [] if impute == "worst" else [entry.last_score] if impute == "latest" and not metrics else best
        values = own if own and all(map(math.isfinite, own)) else self._worst
        return list(values) or None

    def _keep_worst(self, values: list[float]) -> None:
        pairs = zip(self._worst or values, values, self._goals, strict=True)
        self._worst = [new if goal.beats(old, new) else old for old, new, goal in pairs]

    def _ask(self, seed: int) -> optuna.Trial:
        self._study.sampler = self._build_sampler(self._search, seed, self._shared)
        return self._study.ask()

    def _draw(self, seed: int) -> optuna.Trial:
        import optuna

        self._study.sampler = optuna.samplers.RandomSampler(seed)
        return self._study.ask()

    def _repeat(self, parameters: Mapping[str, Value], seed: int) -> optuna.Trial:
        """A trial of the study that has these parameters."""
        self._study.enqueue_trial(to_suggestions(self._search.arm, parameters))
        trial = self._ask(seed)
        sample(self._search.arm, trial)
        return trial
