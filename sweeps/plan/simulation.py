"""What rules do to trials whose curves are known, by a simulated clock: pure, without Ray."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.stopping.rule import Rule
from tracking.names import TrialState


@dataclass(frozen=True)
class KnownTrial:
    """A trial as it would go if nothing stopped it.

    Attributes:
        scores: After each epoch, or after each of `epochs`, "larger is better".
        epochs: The epochs after which rules look at it, the last one among them; none for every epoch.
        epoch_seconds: Duration of an epoch.
        setup_seconds: From a start, also after a pause, to the first step.
    """

    scores: Sequence[float]
    epochs: Sequence[int] = ()
    epoch_seconds: float = 1.0
    setup_seconds: float = 0.0

    def count_epochs(self, num_looks: int) -> int:
        """Epochs that it has run when rules have looked at it so many times."""
        return self.epochs[num_looks - 1] if self.epochs and num_looks else num_looks


@dataclass(frozen=True)
class SimulatedArm:
    """What became of an arm.

    Attributes:
        num_epochs: Epochs that each trial ran.
        seconds: Training time of all its trials.
    """

    num_epochs: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class Simulated:
    """What became of a search.

    Attributes:
        arms: By name.
        seconds: From the first start to the last end.
    """

    arms: Mapping[str, SimulatedArm]
    seconds: float


def simulate(trials: Mapping[str, Sequence[KnownTrial]], rules: Mapping[str, Rule], num_slots: int) -> Simulated:
    """Runs a search of known trials as a sweep would: equal turns for all arms, promotions before new trials.

    Args:
        trials: Those of each arm, in the order in which they are proposed.
        rules: Of each arm; take in the results.
        num_slots: Trials that run at a time.
    """
    simulation = _Simulation(trials, rules, num_slots)
    simulation.run()
    epochs = simulation.num_epochs
    return Simulated(
        {
            arm: SimulatedArm(
                epochs[arm],
                sum(count * trial.epoch_seconds for count, trial in zip(epochs[arm], known, strict=True)),
            )
            for arm, known in trials.items()
        },
        simulation.now,
    )


class _Simulation:
    """A search while it is simulated; a look at a trial costs no more the more arms and trials there are."""

    def __init__(self, trials: Mapping[str, Sequence[KnownTrial]], rules: Mapping[str, Rule], num_slots: int) -> None:
        self._trials, self._rules, self._num_slots = trials, rules, num_slots
        self._waiting = {arm: deque(range(len(known))) for arm, known in trials.items()}
        self._turns = [(0, place, arm) for place, arm in enumerate(trials) if trials[arm]]  # (trials proposed, ...)
        self._running: list[tuple[float, int, str, int]] = []  # (time of the next look, order of starting, arm, trial)
        self._num_running = dict.fromkeys(trials, 0)
        self._num_looks = {arm: [0] * len(known) for arm, known in trials.items()}
        self._best = {arm: [-math.inf] * len(known) for arm, known in trials.items()}  # score so far
        self._epochs_of_arm = dict.fromkeys(trials, 0)
        self._has_full: set[str] = set()  # arms of which a trial has been trained in full
        self._earned: dict[str, int] = {}  # arm -> its paused trial that is the next to go on
        self._places = {arm: place for place, arm in enumerate(trials)}
        self._order = 0
        self.now = 0.0

    @property
    def num_epochs(self) -> dict[str, tuple[int, ...]]:
        """Epochs that each trial has run, by arm."""
        return {
            arm: tuple(trial.count_epochs(count) for trial, count in zip(known, self._num_looks[arm], strict=True))
            for arm, known in self._trials.items()
        }

    def run(self) -> None:
        """Lets all trials run as far as their rules let them."""
        while self._fill():
            self.now, _, arm, trial = heapq.heappop(self._running)
            self._num_running[arm] -= 1
            self._look(arm, trial)
            self._find_earned(arm)

    def _fill(self) -> bool:
        """Starts what the slots have room for; whether anything runs."""
        while len(self._running) < self._num_slots and (found := self._next_promoted() or self._next_new()):
            arm, trial = found
            self._run_on(arm, trial, self._trials[arm][trial].setup_seconds)
            self._find_earned(arm)
        return bool(self._running)

    def _next_promoted(self) -> tuple[str, int] | None:
        if not self._earned:
            return None
        arm = min(self._earned, key=lambda arm: (self._epochs_of_arm[arm], self._places[arm]))
        trial = self._earned[arm]
        self._rules[arm].promote(trial)
        return arm, trial

    def _next_new(self) -> tuple[str, int] | None:
        if not self._turns:
            return None
        num_proposed, place, arm = heapq.heappop(self._turns)
        trial = self._waiting[arm].popleft()
        if self._waiting[arm]:
            heapq.heappush(self._turns, (num_proposed + 1, place, arm))
        return arm, trial

    def _find_earned(self, arm: str) -> None:
        """Asks an arm's rule, of which something has become of a trial, for the next that goes on."""
        trial = self._rules[arm].next_promoted()
        if trial is None and self._is_without_end(arm):
            trial = self._rules[arm].best_paused()
        if trial is None:
            self._earned.pop(arm, None)
        else:
            self._earned[arm] = trial

    def _is_without_end(self, arm: str) -> bool:
        """Whether no more trials of an arm come, and none of it has been trained in full."""
        return not (arm in self._has_full or self._waiting[arm] or self._num_running[arm])

    def _run_on(self, arm: str, trial: int, setup_seconds: float = 0.0) -> None:
        """Lets a trial run until the next look at it."""
        self._order += 1
        known, count = self._trials[arm][trial], self._num_looks[arm][trial]
        num_epochs = known.count_epochs(count + 1) - known.count_epochs(count)
        end = self.now + setup_seconds + num_epochs * known.epoch_seconds
        heapq.heappush(self._running, (end, self._order, arm, trial))
        self._num_running[arm] += 1

    def _look(self, arm: str, trial: int) -> None:
        known, before = self._trials[arm][trial], self._num_looks[arm][trial]
        self._num_looks[arm][trial] = count = before + 1
        epoch, score, rule = known.count_epochs(count), known.scores[before], self._rules[arm]
        self._epochs_of_arm[arm] += epoch - known.count_epochs(before)
        best = max(score, self._best[arm][trial]) if math.isfinite(score) else self._best[arm][trial]
        self._best[arm][trial] = best
        if count == len(known.scores):
            self._has_full.add(arm)
        if not math.isfinite(score):
            rule.settle(trial, epoch, TrialState.DIVERGED, score)
        elif count == len(known.scores):
            rule.settle(trial, epoch, TrialState.COMPLETED, score, best)
        elif rule.judge(trial, epoch, score, best).action == "go":
            self._run_on(arm, trial)
