"""What searcher, scheduler and callback of one running sweep share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sweeps.running.budgets import find_search_end
from tracking.ranking import Goal

if TYPE_CHECKING:
    from sweeps.home import SweepFolder
    from sweeps.spec import SweepSpec
    from sweeps.stopping.rules import ArmRules
    from sweeps.trials.ledger import Ledger, TrialEntry
    from tracking.recording.recorder import Recorder

Listener = Callable[["RunningSweep", "TrialEntry | None", str], None]  # (sweep, trial, event)


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
    deadline: float | None = None  # time.time() after which no search trial starts or goes on
    slots: int = 1  # trials that can run at a time; follows the nodes that join and leave
    paused: bool = False  # no new trials until it is resumed
    stopping: bool = False  # no new trials; ends, to be resumed later, when those that run have ended
    finished: bool = False  # the searcher has nothing left to propose
    interrupted: bool = False  # ended before it was done; can be resumed
    halted: str = ""  # why no further trial is proposed; "" while the sweep goes on
    listeners: list[Listener] = field(default_factory=list)

    @property
    def goal(self) -> Goal:
        """The direction in which the metric gets better."""
        return self.ledger.goal

    def notify(self, entry: TrialEntry | None, event: str) -> None:
        """Tells the terminal what happened: started, epoch, ended, step."""
        for listener in self.listeners:
            listener(self, entry, event)

    def halt(self, reason: str) -> None:
        """Ends the search in order: what runs may finish, nothing new is proposed. The first reason stays."""
        self.halted = self.halted or reason

    def interrupt(self) -> None:
        """Takes note that the sweep ends before it is done."""
        self.interrupted = True

    def search_end(self, arm: str) -> str:
        """Why no search trial of an arm starts or goes on any more; "" while they may. The best are still retrained."""
        time_is_up = self.deadline is not None and time.time() > self.deadline
        return find_search_end(self.spec, self.ledger, arm, time_is_up=time_is_up)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.sweep_id,)
