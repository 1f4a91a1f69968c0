"""What searcher, scheduler and callback of one running sweep share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sweeps.running.budgets import find_search_end
from tracking.ranking import Goal
from tracking.recording.clock import Clock, DriverTime

if TYPE_CHECKING:
    from sweeps.home import SweepFolder
    from sweeps.spec import SweepSpec
    from sweeps.stopping.rules import ArmRules
    from sweeps.trials.ledger import Ledger, TrialEntry
    from tracking.recording.recorder import Recorder


class TrialEvent(StrEnum):
    """What listeners hear of."""

    STARTED = "started"
    EPOCH = "epoch"
    PAUSED = "paused"
    RECOVERED = "recovered"  # its process was lost, and another takes its place
    ENDED = "ended"
    STEP = "step"  # of the driver's loop; concerns no trial


Listener = Callable[["RunningSweep", "TrialEntry | None", TrialEvent], None]


@dataclass
class RunningSweep:
    """The state of the sweep that this process drives.

    Tune pickles searcher, scheduler and callbacks when a sweep starts, for a restoring of its own that is not used
    here: this object pickles as its id, so that live things (threads, terminals, secrets) never get into a pickle.
    """

    sweep_id: str
    spec: SweepSpec
    ledger: Ledger
    rules: ArmRules
    recorder: Recorder
    folder: SweepFolder
    num_trials: Mapping[str, int | None]  # search trials of each arm at most, None where only time ends the search
    clock_ms: Callable[[], int] = field(default_factory=lambda: Clock().now_ms)
    time: DriverTime = field(default_factory=DriverTime)  # which `budget.hours` limits
    slots: int = 1  # trials that can run at a time; follows the nodes that join and leave
    paused: bool = False  # no new trials until it is resumed
    held: str = ""  # what keeps new trials from starting for the time being, as a full disk; "" while nothing does
    stopping: bool = False  # no new trials; ends, to be resumed later, when those that run have ended
    finished: bool = False  # the searcher has nothing left to propose
    interrupted: bool = False  # ended before it was done; can be resumed
    full_disk: str = ""  # which trial waits for room on what disk; "" while none does
    found: str = ""  # one sentence on what earlier drivers have left; "" for a sweep's first driver
    halted: str = ""  # why no further trial is proposed; "" while the sweep goes on
    opened: set[str] = field(default_factory=set)  # trials whose run this driver has opened
    listeners: list[Listener] = field(default_factory=list)

    @property
    def goal(self) -> Goal:
        """The direction in which the metric gets better."""
        return self.ledger.goal

    def begin(self, time_ms: int) -> None:
        """Counts the budget's hours from a time on, beside those that the sweep has had under earlier drivers."""
        self.time.begin(time_ms)

    def elapsed_seconds(self) -> float:
        """How long the sweep has run, under all its drivers."""
        return self.time.elapsed_ms(self.clock_ms()) / 1000

    def note_phase(self, phase: str) -> None:
        """Says what the driver was asked to do; the budget's hours do not count in a pause."""
        self.time.follow(phase, self.clock_ms())
        self.recorder.note_phase(phase)

    def notify(self, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Tells all listeners what happened."""
        for listener in self.listeners:
            listener(self, entry, event)

    def halt(self, reason: str) -> None:
        """Ends the search in order: what runs may finish, nothing new is proposed. The first reason stays."""
        self.halted = self.halted or reason

    def interrupt(self) -> None:
        """Takes note that the sweep ends before it is done."""
        self.interrupted = True

    def search_end(self, arm: str, now_ms: int | None = None) -> str:
        """Why no search trial of an arm starts or goes on any more; "" while they may. The best are still retrained.

        Args:
            arm: Its name.
            now_ms: Milliseconds since 1970; None for now.
        """
        now_ms = self.clock_ms() if now_ms is None else now_ms
        hours = self.spec.budget.hours
        time_is_up = hours is not None and self.time.elapsed_ms(now_ms) > 3_600_000 * hours
        return find_search_end(self.spec, self.ledger, arm, time_is_up=time_is_up)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.sweep_id,)
