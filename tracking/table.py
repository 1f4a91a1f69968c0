"""One recorded sweep as plain values: what plots, report and leaderboard read. Pure."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

from tracking.names import (
    BEST_EPOCH,
    STAGE_CONFIRM,
    STAGE_DEFAULT,
    STAGE_SEARCH,
    TRAIN_SECONDS,
    VALIDATION_SECONDS,
    TrialState,
)
from tracking.ranking import MARGIN, Goal, rank_key

Value = float | int | str | bool | None
Points = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        number: Counts within its arm and stage, from 0.
        stage: One of `names.STAGES`.
        state: None while it runs.
        parameters: Every setting, numbers as numbers; of one whose settings have changed, those that it began with.
        course: The settings that train its weights from the start, where its settings have changed, and its weights
            may have come from another trial (population based training); None elsewhere.
        since: The epoch after which it took them over last, 0 for never; what it had reached before is given up.
        history: Metric -> (epoch, value) by rising epoch; finite values only.
        summary: Last value of every metric, with those of the end (best_val_accuracy, best_epoch, test_accuracy).
        start_time: Seconds since 1970, None if unknown; `end_time` likewise, None while it runs.
        link: Address of its run in MLflow's UI; "" where there is no server.
    """

    trial_id: str
    number: int
    arm: str
    stage: str
    state: TrialState | None
    stop_reason: str
    seed: int
    parameters: Mapping[str, Value]
    history: Mapping[str, Points] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)
    start_time: float | None = None
    end_time: float | None = None
    link: str = ""
    course: Mapping[str, Value] | None = None
    since: int = 0

    @property
    def configuration(self) -> Mapping[str, Value]:
        """Every setting but the seed: what is trained again, whatever the seed."""
        return {name: value for name, value in (self.course or self.parameters).items() if name != "seed"}

    @property
    def num_epochs(self) -> int:
        """The last epoch recorded; 0 when none was."""
        return max((points[-1][0] for points in self.history.values() if points), default=0)

    @property
    def seconds(self) -> float:
        """Time spent in training and validation."""
        return sum(sum_points(self.history.get(name, ())) for name in (TRAIN_SECONDS, VALIDATION_SECONDS))

    def elapsed(self) -> dict[int, float]:
        """Epoch -> seconds spent in training and validation by its end, by rising epoch."""
        spent: dict[int, float] = {}
        for name in (TRAIN_SECONDS, VALIDATION_SECONDS):
            for epoch, seconds in self.history.get(name, ()):
                spent[epoch] = spent.get(epoch, 0.0) + seconds
        epochs = sorted(spent)
        return dict(zip(epochs, accumulate(spent[epoch] for epoch in epochs), strict=True))

    def best(self, metric: str, goal: str) -> float | None:
        """The best finite value that `metric` took under `goal` ("maximize" | "minimize"); None when it took none."""
        values = [value for epoch, value in self.history.get(metric, ()) if epoch > self.since]
        keys = (metric,) if self.since else (f"best_{metric}", metric)  # the best may be one that was taken over
        values += [self.summary[key] for key in keys if key in self.summary]
        values = [value for value in values if math.isfinite(value)]
        if not values:
            return None
        return Goal(goal).best(values)

    def best_epoch(self, metric: str, goal: str) -> int | None:
        """The first epoch with the best value of `metric`; None when it took none."""
        points = [point for point in self.history.get(metric, ()) if point[0] > self.since and math.isfinite(point[1])]
        if not points:
            return int(self.summary[BEST_EPOCH]) if BEST_EPOCH in self.summary else None
        sign = Goal(goal).sign
        return min(points, key=lambda point: (-sign * point[1], point[0]))[0]


@dataclass(frozen=True)
class Confirmation:
    """How the best of a sweep are confirmed, as its file says.

    Attributes:
        seeds: With which each of them is retrained.
        race: Whether arms that can no longer win are retrained no further.
        margin: The difference in accuracy, 0..1, that does not matter.
        extensions: How often seeds were added after a verdict could have been seen.
    """

    seeds: int = 1
    race: bool = False
    margin: float = MARGIN
    extensions: int = 0


@dataclass(frozen=True)
class SweepTable:
    """One sweep with all its trials.

    Attributes:
        state: running | completed | interrupted | failed.
        goal: "maximize" or "minimize" `goal_metric`.
        compare: The compared parameters, with commas between them; None means one arm.
        searched: Parameters that vary.
        sweep_file: The text that the user wrote.
        notices: What a reader must know before any number, such as a fallback to synthetic images.
        metrics: Of a sweep that is judged by several: each metric with its goal, `goal_metric` first.
        seconds: How long it has run under its drivers; None where unknown, as of one that runs.
        confirmation: How its best are confirmed.
        link: Address of its run in MLflow's UI; "" where there is no server.
        health: Of each arm's best search trial: its id -> metric, with `HEALTH_PREFIX` -> points by epoch.
        worked_out: What is asked of the table more than once, by name, such as its verdict.
    """

    sweep_id: str
    name: str
    project: str
    state: str
    goal_metric: str
    goal: str
    compare: str | None
    arms: tuple[str, ...]
    searched: tuple[str, ...]
    manifest: Mapping[str, object]
    sweep_file: str
    trials: tuple[TrialRow, ...]
    notices: tuple[str, ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    seconds: float | None = None
    confirmation: Confirmation = Confirmation()
    link: str = ""
    health: Mapping[str, Mapping[str, Points]] = field(default_factory=dict)
    worked_out: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def compared(self) -> tuple[str, ...]:
        """The compared parameters, none in a sweep of one arm."""
        return tuple(self.compare.split(", ")) if self.compare else ()

    def select(self, arm: str | None = None, stage: str | None = STAGE_SEARCH) -> tuple[TrialRow, ...]:
        """Trials of one arm and one stage in the order of their numbers; None means any."""
        if arm is not None and stage is not None:
            return self._groups.get((arm, stage), ())
        return tuple(
            trial
            for trial in self.trials
            if (arm is None or trial.arm == arm) and (stage is None or trial.stage == stage)
        )

    def ranking(self, arm: str) -> tuple[TrialRow, ...]:
        """Search trials of an arm, best first, as `rank_key` has it; those without a rank are left out."""
        return self._rankings.get(arm, ())

    def value(self, trial: TrialRow) -> float | None:
        """A trial's best value of the goal metric; None when it took none."""
        return trial.best(self.goal_metric, self.goal)

    def value_until(self, trial: TrialRow, epoch: int) -> float:
        """A trial's best value of the goal metric up to an epoch; NaN when it had none by then."""
        values = [value for number, value in trial.history.get(self.goal_metric, ()) if number <= epoch]
        return Goal(self.goal).best(values) if values else math.nan

    @cached_property
    def _groups(self) -> Mapping[tuple[str, str], tuple[TrialRow, ...]]:
        """The trials of each arm and stage."""
        groups: dict[tuple[str, str], list[TrialRow]] = defaultdict(list)
        for trial in self.trials:
            groups[trial.arm, trial.stage].append(trial)
        return {key: tuple(trials) for key, trials in groups.items()}

    @cached_property
    def _rankings(self) -> Mapping[str, tuple[TrialRow, ...]]:
        """The ranking of each arm."""
        return {arm: self._rank(trials) for (arm, stage), trials in self._groups.items() if stage == STAGE_SEARCH}

    def _rank(self, trials: Sequence[TrialRow]) -> tuple[TrialRow, ...]:
        goal = Goal(self.goal)
        keyed = [
            (key, trial)
            for trial in trials
            if (key := rank_key(trial.state, trial.num_epochs, self.value(trial), trial.number, goal)) is not None
        ]
        return tuple(trial for _, trial in sorted(keyed, key=lambda pair: pair[0]))

    def retrainings(self, trial: TrialRow) -> tuple[TrialRow, ...]:
        """The retrainings of a search trial's configuration: same arm, same parameters but for the seed."""
        return tuple(each for each in self.confirmed(trial.arm) if each.configuration == trial.configuration)

    def defaults(self, arm: str | None = None) -> tuple[TrialRow, ...]:
        """Retrainings of the untuned defaults, which read the test split as well."""
        return self.select(arm, STAGE_DEFAULT)

    def confirmed(self, arm: str | None = None) -> tuple[TrialRow, ...]:
        """Retrainings of the best configurations, which read the test split."""
        return self.select(arm, STAGE_CONFIRM)


def sum_points(points: Points) -> float:
    """The sum of a metric over its epochs."""
    return math.fsum(value for _, value in points)


def format_value(value: Value) -> str:
    """Text of a parameter's value, from which `parse_value` gives the same value of the same type back."""
    if not isinstance(value, str):
        return json.dumps(value)
    return json.dumps(value) if _is_json(value) or value == "" else value


def parse_value(text: str) -> Value:
    """The value that `format_value` wrote; any other text is itself."""
    if not _is_json(text):
        return text
    value: Value = json.loads(text)
    return value


def _is_json(text: str) -> bool:
    """Whether `text` would be read as a JSON scalar: a string that looks like a number has to be quoted."""
    try:
        return not isinstance(json.loads(text), list | dict)
    except (ValueError, RecursionError):
        return False
