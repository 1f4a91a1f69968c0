"""How far a sweep has come, as series of numbers that grow with it: the metrics of its own run in MLflow. Pure.

The same events give the same points, whoever sends them and in however many parts: nothing is counted twice or left out
when a driver is lost and another goes on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tracking import names
from tracking.names import STAGE_SEARCH, TrialState
from tracking.ranking import Goal
from tracking.recording.events import (
    EpochRecorded,
    Event,
    SweepEnded,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialRecord,
    TrialStarted,
)

EPOCH_SECONDS = 10  # how often epochs are counted while no trial ends


@dataclass(frozen=True)
class Point:
    """A point of a series; `time_ms` in milliseconds since 1970."""

    key: str
    value: float
    time_ms: int
    step: int


class Progress:
    """The series of one sweep.

    | series | step | value |
    |---|---|---|
    | best_by_trials/ARM | search trials of the arm that have ended | the best value of the goal metric by then |
    | best_by_seconds/ARM | seconds under the sweep's drivers | the same, at each improvement and each end of a trial |
    | progress/trials_ended | seconds | trials that have ended, of all stages |
    | progress/epochs_spent | seconds | epochs of all trials |

    What falls into a second that has a point already stands at the next one, so that no point is lost.
    """

    def __init__(self) -> None:
        self._sweep: SweepRecord | None = None
        self._trials: dict[str, TrialRecord] = {}
        self._epochs: dict[str, int] = defaultdict(int)  # the last one of each trial
        self._best: dict[str, float] = {}
        self._ended: dict[str, None] = {}
        self._last_steps: dict[str, int] = {}

    def take(self, event: Event, seconds: int) -> tuple[Point, ...]:
        """Takes in one event of the sweep, in their order, and returns the points that it adds.

        Args:
            event: The event.
            seconds: How long the sweep has run under its drivers.
        """
        return tuple(self._take(event, seconds))

    def _take(self, event: Event, seconds: int) -> Iterator[Point]:
        match event.what:
            case SweepStarted(record):
                self._sweep = record
            case TrialStarted(trial):
                self._trials[trial.trial_id] = trial
            case EpochRecorded() as epoch if epoch.trial_id in self._trials:
                yield from self._take_epoch(epoch, event.time_ms, seconds)
            case TrialEnded(trial_id, state) if trial_id in self._trials and state is not TrialState.STOPPED:
                yield from self._end(self._trials[trial_id], event.time_ms, seconds)
            case SweepEnded():
                for arm in self._best:
                    yield from self._extend_best(arm, event.time_ms, seconds)
                if seconds > self._last_steps.get(names.TRIALS_ENDED, -1):
                    yield from self._count(event.time_ms, seconds)

    def _take_epoch(self, epoch: EpochRecorded, time_ms: int, seconds: int) -> Iterator[Point]:
        trial = self._trials[epoch.trial_id]
        if self._sweep is None or epoch.epoch <= self._epochs[trial.trial_id]:
            return
        self._epochs[trial.trial_id] = epoch.epoch
        score = epoch.metrics.get(self._sweep.goal_metric, math.nan)
        if trial.stage == STAGE_SEARCH and Goal(self._sweep.goal).beats(score, self._best.get(trial.arm, math.nan)):
            self._best[trial.arm] = score
            yield self._build_timed(names.BEST_BY_SECONDS + trial.arm, score, time_ms, seconds)
        if seconds >= self._last_steps.get(names.EPOCHS_SPENT, 0) + EPOCH_SECONDS:
            yield self._build_timed(names.EPOCHS_SPENT, sum(self._epochs.values()), time_ms, seconds)

    def _end(self, trial: TrialRecord, time_ms: int, seconds: int) -> Iterator[Point]:
        if trial.trial_id in self._ended:  # it had failed, and ran once more
            return
        self._ended[trial.trial_id] = None
        yield from self._count(time_ms, seconds)
        if trial.stage != STAGE_SEARCH or trial.arm not in self._best:
            return
        own = [self._trials[each] for each in self._ended]
        number = sum(each.arm == trial.arm and each.stage == STAGE_SEARCH for each in own)
        yield self._build(names.BEST_BY_TRIALS + trial.arm, self._best[trial.arm], time_ms, number)
        yield from self._extend_best(trial.arm, time_ms, seconds)

    def _count(self, time_ms: int, seconds: int) -> Iterator[Point]:
        yield self._build_timed(names.TRIALS_ENDED, len(self._ended), time_ms, seconds)
        yield self._build_timed(names.EPOCHS_SPENT, sum(self._epochs.values()), time_ms, seconds)

    def _extend_best(self, arm: str, time_ms: int, seconds: int) -> Iterator[Point]:
        """The best so far once more, so that its line reaches to now; none where it does already."""
        if seconds > self._last_steps[names.BEST_BY_SECONDS + arm]:
            yield self._build_timed(names.BEST_BY_SECONDS + arm, self._best[arm], time_ms, seconds)

    def _build_timed(self, key: str, value: float, time_ms: int, seconds: int) -> Point:
        return self._build(key, value, time_ms, max(seconds, self._last_steps.get(key, -1) + 1))

    def _build(self, key: str, value: float, time_ms: int, step: int) -> Point:
        self._last_steps[key] = step
        return Point(key, value, time_ms, step)
