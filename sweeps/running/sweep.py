"""What searcher, scheduler and callback of one running sweep share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sweeps.running.budgets import find_search_end
from tracking.ranking import Goal

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


def read_clock_ms() -> int:
    """Milliseconds since 1970: the resolution of the journal, so that a replay compares the same times."""
    return int(time.time() * 1000)


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
    deadline_ms: int | None = None  # of `clock_ms`, after which no search trial starts or goes on
    clock_ms: Callable[[], int] = read_clock_ms
    slots: int = 1  # trials that can run at a time; follows the nodes that join and leave
    paused: bool = False  # no new trials until it is resumed
    stopping: bool = False  # no new trials; ends, to be resumed later, when those that run have ended
    finished: bool = False  # the searcher has nothing left to propose
    interrupted: bool = False  # ended before it was done; can be resumed
    halted: str = ""  # why no further trial is proposed; "" while the sweep goes on
    opened: set[str] = field(default_factory=set)  # trials whose run this driver has opened
    listeners: list[Listener] = field(default_factory=list)

    @property
    def goal(self) -> Goal:
        """The direction in which the metric gets better."""
        return self.ledger.goal

    def begin(self, time_ms: int) -> None:
        """Counts the budget's hours from a time on, unless they have been counting from an earlier one."""
        hours = self.spec.budget.hours
        if hours is not None and self.deadline_ms is None:
            self.deadline_ms = time_ms + round(3_600_000 * hours)

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
        time_is_up = self.deadline_ms is not None and now_ms > self.deadline_ms
        return find_search_end(self.spec, self.ledger, arm, time_is_up=time_is_up)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.sweep_id,)
