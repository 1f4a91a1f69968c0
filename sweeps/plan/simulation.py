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
    waiting = {arm: deque(range(len(known))) for arm, known in trials.items()}
    num_epochs = {arm: [0] * len(known) for arm, known in trials.items()}
    proposed = dict.fromkeys(trials, 0)
    running: list[tuple[float, int, str, int]] = []  # (end of its epoch, order of starting, arm, trial)
    now, order = 0.0, 0

    def run_epoch(arm: str, trial: int, setup_seconds: float = 0.0) -> None:
        nonlocal order
        order += 1
        heapq.heappush(running, (now + setup_seconds + trials[arm][trial].epoch_seconds, order, arm, trial))

    def start(arm: str, trial: int) -> None:
        run_epoch(arm, trial, trials[arm][trial].setup_seconds)

    def is_without_end(arm: str) -> bool:
        ended = any(count == len(known.scores) for count, known in zip(num_epochs[arm], trials[arm], strict=True))
        return not ended and not waiting[arm] and all(each[2] != arm for each in running)

    def fill() -> None:
        while len(running) < num_slots:
            for arm in sorted(trials, key=lambda arm: sum(num_epochs[arm])):
                trial = rules[arm].next_promoted()
                if trial is None and is_without_end(arm):
                    trial = rules[arm].best_paused()
                if trial is not None:
                    rules[arm].promote(trial)
                    start(arm, trial)
                    break
            else:
                arms = [arm for arm in trials if waiting[arm]]
                if not arms:
                    return
                arm = min(arms, key=lambda arm: proposed[arm])
                proposed[arm] += 1
                start(arm, waiting[arm].popleft())

    fill()
    while running:
        now, _, arm, trial = heapq.heappop(running)
        num_epochs[arm][trial] += 1
        epoch, scores = num_epochs[arm][trial], trials[arm][trial].scores
        if not math.isfinite(scores[epoch - 1]):
            rules[arm].settle(trial, epoch, TrialState.DIVERGED, scores[epoch - 1])
        elif epoch == len(scores):
            rules[arm].settle(trial, epoch, TrialState.COMPLETED, scores[epoch - 1])
        elif rules[arm].judge(trial, epoch, scores[epoch - 1]).action == "go":
            run_epoch(arm, trial)
        fill()
    return Simulated(
        {
            arm: SimulatedArm(
                tuple(num_epochs[arm]),
                sum(count * known.epoch_seconds for count, known in zip(num_epochs[arm], trials[arm], strict=True)),
            )
            for arm in trials
        },
        now,
    )
