"""What the driver knows of every trial of one sweep: pure bookkeeping.

Searcher, scheduler, recorder and terminal view all read this one record, so that they cannot disagree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sweeps.trials.objectives import accumulate
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.ranking import Goal, rank_key
from trainer.config import Value


class TrialPhase(StrEnum):
    """Where a trial stands; `MOVES` says what may follow."""

    PROPOSED = "proposed"
    RUNNING = "running"  # its process trains, or is about to
    PAUSING = "pausing"  # told to pause; its process still saves
    PAUSED = "paused"  # waits at a rung until it has earned to go on
    STOPPING = "stopping"  # told to stop; its process has not let go of it yet
    ENDED = "ended"


MOVES: Mapping[TrialPhase, frozenset[TrialPhase]] = {
    TrialPhase.PROPOSED: frozenset({TrialPhase.RUNNING, TrialPhase.ENDED}),
    TrialPhase.RUNNING: frozenset({TrialPhase.PAUSING, TrialPhase.STOPPING, TrialPhase.ENDED}),
    TrialPhase.PAUSING: frozenset({TrialPhase.PAUSED, TrialPhase.ENDED}),
    TrialPhase.PAUSED: frozenset({TrialPhase.RUNNING, TrialPhase.ENDED}),
    TrialPhase.STOPPING: frozenset({TrialPhase.ENDED}),
    TrialPhase.ENDED: frozenset(),
}


@dataclass
class TrialEntry:
    """One trial as the driver sees it. Only `running.lifecycle` and the ledger change it."""

    trial_id: str
    arm: str
    stage: str
    number: int  # within its arm and stage, from 0
    seed: int
    parameters: Mapping[str, Value]
    epoch: int = 0  # last epoch reported
    last_score: float = math.nan
    best_score: float = math.nan
    best_epoch: int = 0
    phase: TrialPhase = TrialPhase.PROPOSED
    state: TrialState | None = None  # how it ended; None until then
    ended_as: int = 0  # its place among the ends of all trials, from 1
    stop_reason: str = ""  # why it ended, or is to end
    error: str = ""
    first_parameters: Mapping[str, Value] | None = None  # those that it began with, where they have changed
    course: Mapping[str, Value] | None = None  # what trains its weights from the start, where settings have changed
    donor_id: str = ""  # of the trial whose weights it took over last
    donor_epoch: int = 0  # after which it did
    part: int = 0  # how often it has gone on after a pause, under this driver
    train_seconds: float = 0.0
    values: dict[str, float] = field(default_factory=dict)  # what it has come to, of each metric it may be judged by
    tags: dict[str, str] = field(default_factory=dict)  # words for its tags: whether the network still learnt
    summary: dict[str, float] = field(default_factory=dict)  # metrics of the end: test accuracy

    @property
    def ended(self) -> bool:
        """Whether the trial will report nothing more."""
        return self.phase is TrialPhase.ENDED

    @property
    def active(self) -> bool:
        """Whether the trial runs, or waits for nothing but its process."""
        return self.phase not in (TrialPhase.PAUSED, TrialPhase.ENDED)

    def move_to(self, phase: TrialPhase) -> None:
        """Changes the phase.

        Raises:
            ValueError: When no trial may go from its phase to that one.
        """
        if phase not in MOVES[self.phase]:
            raise ValueError(f"{self.trial_id}: a trial that is {self.phase} cannot be {phase} next")
        self.phase = phase


@dataclass
class Tally:
    """What an arm's trials come to.

    Attributes:
        num_epochs: Epochs of its search trials.
        best_score: Best score of the search trials that have ended.
        num_without_better: Search trials that have ended since that one.
        consecutive_failures: Failed trials in a row.
    """

    num_epochs: int = 0
    best_score: float = math.nan
    num_without_better: int = 0
    consecutive_failures: int = 0


@dataclass
class _Group:
    """The trials of one arm and one stage, so that nobody has to look through all trials for them."""

    entries: dict[str, TrialEntry] = field(default_factory=dict)
    by_number: dict[int, TrialEntry] = field(default_factory=dict)
    num_by_state: Counter[TrialState] = field(default_factory=Counter)  # of those that have ended
    free_number: int = 0  # the lowest that no trial has

    def add(self, entry: TrialEntry) -> None:
        self.entries[entry.trial_id] = self.by_number[entry.number] = entry
        while self.free_number in self.by_number:
            self.free_number += 1

    @property
    def num_ended(self) -> int:
        return self.num_by_state.total()


@dataclass
class Ledger:
    """All trials of a sweep, in the order in which they were proposed.

    What the driver asks at every proposal and at every end takes no longer the more trials there are.
    """

    goal: Goal
    arms: tuple[str, ...]
    entries: dict[str, TrialEntry] = field(default_factory=dict, init=False)
    consecutive_failures: int = 0  # of all arms
    tallies: dict[str, Tally] = field(init=False)  # of each arm
    longest_epoch: float = 0.0  # seconds of training and validation
    _num_ends: int = 0
    _groups: dict[tuple[str, str], _Group] = field(default_factory=dict, init=False)  # (arm, stage) -> its trials
    _active: dict[str, TrialEntry] = field(default_factory=dict, init=False)
    _leaders: dict[str, TrialEntry] = field(default_factory=dict, init=False)  # arm -> the trial with the best score
    _places: dict[str, int] = field(default_factory=dict, init=False)  # trial -> how many were proposed before it

    def __post_init__(self) -> None:
        self.tallies = {arm: Tally() for arm in self.arms}

    def add(self, entry: TrialEntry) -> None:
        """Takes a proposed trial in.

        Raises:
            ValueError: There is one of that id.
        """
        if entry.trial_id in self.entries:
            raise ValueError(f"{entry.trial_id}: this trial has been proposed before")
        self._places[entry.trial_id] = len(self.entries)
        self.entries[entry.trial_id] = self._active[entry.trial_id] = entry
        self._groups.setdefault((entry.arm, entry.stage), _Group()).add(entry)

    def record_epoch(
        self, trial_id: str, epoch: int, score: float, train_seconds: float, metrics: Mapping[str, float] | None = None
    ) -> bool:
        """Takes in one epoch's score; False if that epoch is already known (a trial replayed after a resume)."""
        entry = self.entries[trial_id]
        if epoch <= entry.epoch:
            return False
        entry.epoch = epoch
        entry.last_score = score
        entry.train_seconds += train_seconds
        self.longest_epoch = max(self.longest_epoch, train_seconds)
        accumulate(entry.values, metrics or {})
        if entry.stage == STAGE_SEARCH:
            self.tallies[entry.arm].num_epochs += 1
        if self.goal.beats(score, entry.best_score):
            entry.best_score, entry.best_epoch = score, epoch
            leader = self._leaders.get(entry.arm)
            if leader is None or self._leads(entry, leader):
                self._leaders[entry.arm] = entry
        return True

    def _leads(self, entry: TrialEntry, than: TrialEntry) -> bool:
        """Whether a trial has a better score than another; of equal ones, whether it was proposed earlier."""
        if entry.best_score == than.best_score:
            return self._places[entry.trial_id] < self._places[than.trial_id]
        return self.goal.beats(entry.best_score, than.best_score)

    def end(self, trial_id: str, state: TrialState, stop_reason: str, error: str = "") -> None:
        """Closes a trial and keeps count of its arm's."""
        entry = self.entries[trial_id]
        entry.move_to(TrialPhase.ENDED)
        entry.state, entry.stop_reason, entry.error = state, stop_reason, error
        self._active.pop(trial_id, None)
        self._groups[entry.arm, entry.stage].num_by_state[state] += 1
        self._num_ends += 1
        entry.ended_as = self._num_ends
        tally = self.tallies[entry.arm]
        if state is TrialState.FAILED:
            tally.consecutive_failures += 1
            self.consecutive_failures += 1
        elif state in _RANKED:
            tally.consecutive_failures = self.consecutive_failures = 0
        if entry.stage == STAGE_SEARCH and state is not TrialState.STOPPED:
            improved = self.goal.beats(entry.best_score, tally.best_score)
            tally.best_score = entry.best_score if improved else tally.best_score
            tally.num_without_better = 0 if improved else tally.num_without_better + 1

    def pause(self, entry: TrialEntry) -> None:
        """Takes in that a trial waits; one that has got so far is no failure."""
        entry.move_to(TrialPhase.PAUSED)
        self._active.pop(entry.trial_id, None)
        self.consecutive_failures = self.tallies[entry.arm].consecutive_failures = 0

    def go_on(self, entry: TrialEntry) -> None:
        """Takes in that a trial waits no longer."""
        entry.move_to(TrialPhase.RUNNING)
        self._active[entry.trial_id] = entry

    def give_up(self, entry: TrialEntry) -> None:
        """Takes in that a trial goes on with other weights: what it had reached counts no more."""
        entry.best_score, entry.best_epoch = math.nan, 0
        if self._leaders.get(entry.arm) is entry:
            del self._leaders[entry.arm]
            for each in self.select(entry.arm):
                leader = self._leaders.get(entry.arm)
                if math.isfinite(each.best_score) and (leader is None or self._leads(each, leader)):
                    self._leaders[entry.arm] = each

    def reset_failures(self) -> None:
        """Counts failures in a row from 0 again."""
        self.consecutive_failures = 0
        for tally in self.tallies.values():
            tally.consecutive_failures = 0

    def select(self, arm: str | None = None, stage: str | None = None) -> Iterator[TrialEntry]:
        """Trials of one arm and one stage; None means any."""
        if arm is not None and stage is not None:
            yield from list(self._group(arm, stage).entries.values())
            return
        for entry in list(self.entries.values()):
            if (arm is None or entry.arm == arm) and (stage is None or entry.stage == stage):
                yield entry

    def _group(self, arm: str, stage: str) -> _Group:
        return self._groups.get((arm, stage)) or _Group()

    def find(self, arm: str, number: int, stage: str = STAGE_SEARCH) -> TrialEntry | None:
        """The trial of an arm and a stage that has a number; None where there is none."""
        return self._group(arm, stage).by_number.get(number)

    def find_free_number(self, arm: str, stage: str = STAGE_SEARCH) -> int:
        """The lowest number that no trial of an arm and a stage has.

        One of a trial that a damaged journal has lost is given again.
        """
        return self._group(arm, stage).free_number

    def num_proposed(self, arm: str, stage: str = STAGE_SEARCH) -> int:
        """Number of an arm's trials, whatever has become of them."""
        return len(self._group(arm, stage).entries)

    @property
    def active(self) -> Sequence[TrialEntry]:
        """Trials that run, or wait for nothing but their process: those proposed that neither wait nor have ended."""
        return list(self._active.values())

    @property
    def num_ended(self) -> int:
        """Trials that have ended, of all arms and stages."""
        return self._num_ends

    @property
    def num_failed(self) -> int:
        """Trials that ended by an error."""
        return sum(group.num_by_state[TrialState.FAILED] for group in self._groups.values())

    def running(self) -> tuple[TrialEntry, ...]:
        """Trials proposed and not ended."""
        return tuple(entry for entry in self.entries.values() if not entry.ended)

    def count(self, arm: str, state: TrialState | None, stage: str = STAGE_SEARCH) -> int:
        """Number of an arm's trials in a state; None counts those that have not ended."""
        group = self._group(arm, stage)
        return len(group.entries) - group.num_ended if state is None else group.num_by_state[state]

    def ranking(self, arm: str, stage: str = STAGE_SEARCH) -> list[TrialEntry]:
        """Trials of an arm, best first, as `rank_key` has it; those without a rank are left out."""
        keyed = [
            (key, entry)
            for entry in self.select(arm, stage)
            if (key := rank_key(entry.state, entry.epoch, entry.best_score, entry.number, self.goal)) is not None
        ]
        return [entry for _, entry in sorted(keyed, key=lambda pair: pair[0])]

    def best(self, arm: str | None = None) -> TrialEntry | None:
        """The trial with the best score so far over all stages, for display only; None before any score."""
        if arm is not None:
            return self._leaders.get(arm)
        best: TrialEntry | None = None
        for entry in self._leaders.values():
            if best is None or self._leads(entry, best):
                best = entry
        return best

    def num_succeeded(self) -> int:
        """Trials that ended as they should: completed or stopped early."""
        return sum(group.num_by_state[state] for group in self._groups.values() for state in _RANKED)

    def failed(self) -> tuple[TrialEntry, ...]:
        """Trials that ended by an error."""
        return tuple(entry for entry in self.entries.values() if entry.state is TrialState.FAILED)

    def confirmed(self) -> tuple[TrialEntry, ...]:
        """Trials of the confirm stage."""
        return tuple(self.select(stage=STAGE_CONFIRM))


_RANKED = (TrialState.COMPLETED, TrialState.EARLY_STOPPED)
