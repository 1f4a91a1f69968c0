from __future__ import annotations

import math
from dataclasses import dataclass, field

from tracking.names import SweepState, TrialState
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    SweepEnded,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialRecord,
    TrialStarted,
)
from tracking.recording.progress import Progress


@dataclass
class Played:
    """The series of events that are made up, by key."""

    goal: str = "maximize"
    progress: Progress = field(default_factory=Progress)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        facts = {"sweep_id": "s", "name": "s", "project": "p", "description": "", "sweep_file": "", "resolved": ""}
        record = SweepRecord(
            **facts,
            manifest={},
            tags={},
            goal_metric="score",
            goal=self.goal,
            compare="optimizer",
            arms=("sgd", "adam"),
            searched=(),
        )
        self.take(SweepStarted(record), 0)

    def take(self, what: Happening, seconds: int) -> None:
        for point in self.progress.take(Event(1, 1000 * seconds, what), seconds):
            assert point.time_ms == 1000 * seconds
            self.series.setdefault(point.key, []).append((point.step, point.value))

    def start(self, trial_id: str, stage: str = "search") -> None:
        self.take(TrialStarted(TrialRecord(trial_id, 0, trial_id.split("-")[0], stage, 0, {})), 0)

    def epoch(self, trial_id: str, epoch: int, score: float, seconds: int) -> None:
        self.take(EpochRecorded(trial_id, epoch, {"score": score}), seconds)

    def end(self, trial_id: str, seconds: int, state: TrialState = TrialState.COMPLETED) -> None:
        self.take(TrialEnded(trial_id, state, ""), seconds)


def test_the_best_of_each_arm_stands_against_its_trials_and_against_the_seconds() -> None:
    played = Played()
    for trial_id, scores, seconds in (("sgd-0", (0.1, 0.3), 10), ("adam-0", (0.5, 0.4), 20), ("sgd-1", (0.2, 0.2), 30)):
        played.start(trial_id)
        for epoch, score in enumerate(scores, 1):
            played.epoch(trial_id, epoch, score, seconds + epoch)
        played.end(trial_id, seconds + 5)
    assert played.series["best_by_trials/sgd"] == [(1, 0.3), (2, 0.3)]
    assert played.series["best_by_trials/adam"] == [(1, 0.5)]
    assert played.series["best_by_seconds/sgd"] == [(11, 0.1), (12, 0.3), (15, 0.3), (35, 0.3)]
    assert played.series["progress/trials_ended"] == [(15, 1.0), (25, 2.0), (35, 3.0)]
    assert played.series["progress/epochs_spent"][-1] == (35, 6.0)


def test_less_is_better_where_the_goal_says_so_and_nan_is_never_best() -> None:
    played = Played(goal="minimize")
    played.start("sgd-0")
    for epoch, score in enumerate((math.nan, 2.0, 3.0, 1.0), 1):
        played.epoch("sgd-0", epoch, score, epoch)
    assert played.series["best_by_seconds/sgd"] == [(2, 2.0), (4, 1.0)]


def test_what_falls_into_one_second_is_kept_at_steps_of_its_own() -> None:
    played = Played()
    for number in range(3):
        played.start(f"sgd-{number}")
        played.epoch(f"sgd-{number}", 1, 0.1 * number, 7)
        played.end(f"sgd-{number}", 7)
    assert played.series["progress/trials_ended"] == [(7, 1.0), (8, 2.0), (9, 3.0)]
    assert [value for _, value in played.series["best_by_seconds/sgd"]] == [0.0, 0.1, 0.2]


def test_retrainings_count_as_trials_and_are_no_best_of_the_search() -> None:
    played = Played()
    played.start("sgd-confirm-0", "confirm")
    played.epoch("sgd-confirm-0", 1, 0.9, 3)
    played.end("sgd-confirm-0", 4)
    assert set(played.series) == {"progress/trials_ended", "progress/epochs_spent"}


def test_a_trial_that_is_cut_off_or_failed_and_runs_again_is_counted_once() -> None:
    played = Played()
    for state in (TrialState.STOPPED, TrialState.FAILED, TrialState.COMPLETED):
        played.start("sgd-0")
        played.epoch("sgd-0", 1, 0.5, 3)  # reported again from the checkpoint before it
        played.end("sgd-0", 4, state)
    assert [value for _, value in played.series["progress/trials_ended"]] == [1.0]
    assert [value for _, value in played.series["progress/epochs_spent"]] == [1.0]


def test_a_long_trial_shows_its_epochs_before_it_ends_and_the_lines_reach_to_the_end_of_the_sweep() -> None:
    played = Played()
    played.start("sgd-0")
    for epoch in range(1, 31):
        played.epoch("sgd-0", epoch, 0.5, epoch)
    assert played.series["progress/epochs_spent"] == [(10, 10.0), (20, 20.0), (30, 30.0)]
    played.take(SweepEnded(SweepState.INTERRUPTED), 60)
    assert played.series["best_by_seconds/sgd"][-1] == (60, 0.5)
    assert played.series["progress/epochs_spent"][-1] == (60, 30.0)
    assert played.series["progress/trials_ended"] == [(60, 0.0)]
