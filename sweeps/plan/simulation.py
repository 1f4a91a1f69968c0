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
        scores: After each epoch, "larger is better".
        epoch_seconds: Duration of an epoch.
        setup_seconds: From a start, also after a pause, to the first step.
    """

    scores: Sequence[float]
    epoch_seconds: float = 1.0
    setup_seconds: float = 0.0


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
    return Simulated(
        {
            arm: SimulatedArm(
                tuple(simulation.num_epochs[arm]),
                sum(
                    count * trial.epoch_seconds for count, trial in zip(simulation.num_epochs[arm], known, strict=True)
                ),
            )
            for arm, known in trials.items()
        },
        simulation.now,
    )


class _Simulation:
    """A search while it is simulated."""

    def __init__(self, trials: Mapping[str, Sequence[KnownTrial]], rules: Mapping[str, Rule], num_slots: int) -> None:
        self._trials, self._rules, self._num_slots = trials, rules, num_slots
        self._waiting = {arm: deque(range(len(known))) for arm, known in trials.items()}
        self._proposed = dict.fromkeys(trials, 0)
        self._running: list[tuple[float, int, str, int]] = []  # (end of its epoch, order of starting, arm, trial)
        self._order = 0
        self.num_epochs = {arm: [0] * len(known) for arm, known in trials.items()}
        self.now = 0.0

    def run(self) -> None:
        """Lets all trials run as far as their rules let them."""
        while self._fill():
            self.now, _, arm, trial = heapq.heappop(self._running)
            self._end_epoch(arm, trial)

    def _fill(self) -> bool:
        """Starts what the slots have room for; whether anything runs."""
        while len(self._running) < self._num_slots and (found := self._next_promoted() or self._next_new()):
            arm, trial = found
            self._run_epoch(arm, trial, self._trials[arm][trial].setup_seconds)
        return bool(self._running)

    def _next_promoted(self) -> tuple[str, int] | None:
        for arm in sorted(self._trials, key=lambda arm: sum(self.num_epochs[arm])):
            trial = self._rules[arm].next_promoted()
            if trial is None and self._is_without_end(arm):
                trial = self._rules[arm].best_paused()
            if trial is not None:
                self._rules[arm].promote(trial)
                return arm, trial
        return None

    def _next_new(self) -> tuple[str, int] | None:
        arms = [arm for arm in self._trials if self._waiting[arm]]
        if not arms:
            return None
        arm = min(arms, key=lambda arm: self._proposed[arm])
        self._proposed[arm] += 1
        return arm, self._waiting[arm].popleft()

    def _is_without_end(self, arm: str) -> bool:
        """Whether no more trials of an arm come, and none of it has been trained in full."""
        pairs = zip(self.num_epochs[arm], self._trials[arm], strict=True)
        ended = any(count == len(known.scores) for count, known in pairs)
        return not ended and not self._waiting[arm] and all(each[2] != arm for each in self._running)

    def _run_epoch(self, arm: str, trial: int, setup_seconds: float = 0.0) -> None:
        self._order += 1
        end = self.now + setup_seconds + self._trials[arm][trial].epoch_seconds
        heapq.heappush(self._running, (end, self._order, arm, trial))

    def _end_epoch(self, arm: str, trial: int) -> None:
        self.num_epochs[arm][trial] += 1
        epoch, scores = self.num_epochs[arm][trial], self._trials[arm][trial].scores
        score, rule = scores[epoch - 1], self._rules[arm]
        if not math.isfinite(score):
            rule.settle(trial, epoch, TrialState.DIVERGED, score)
        elif epoch == len(scores):
            rule.settle(trial, epoch, TrialState.COMPLETED, score)
        elif rule.judge(trial, epoch, score).action == "go":
            self._run_epoch(arm, trial)
