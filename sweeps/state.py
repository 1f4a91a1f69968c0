"""What searcher, scheduler and callback of one running sweep share, and how it passes through Tune's snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.ledger import Ledger, TrialEntry
    from sweeps.schedulers import ArmRungs
    from sweeps.spec import SweepSpec
    from tracking.recorder import Recorder

Listener = Callable[["RunningSweep", "TrialEntry | None", str], None]  # (sweep, trial, event)


@dataclass
class RunningSweep:
    """The state of the sweep that this process drives.

    Tune pickles searcher, scheduler and callbacks when a sweep starts and unpickles them to restore it. All three hold
    this object, which pickles as its id and unpickles as the object that this process registered under that id: live
    things (threads, terminals, secrets) never get into a pickle, and the three cannot come back with three ledgers. Its
    content travels through `get_state` and `set_state`, which Tune calls for every snapshot.
    """

    sweep_id: str
    spec: SweepSpec
    ledger: Ledger
    rungs: ArmRungs
    recorder: Recorder
    num_trials: Mapping[str, int | None]  # search trials of each arm at most, None where only time ends the search
    deadline: float | None = None  # time.time() after which no search trial starts or goes on
    slots: int = 1  # trials that run at a time
    paused: bool = False  # no new trials until it is resumed
    stopping: bool = False  # no new trials; ends, to be resumed later, when those that run have ended
    interrupted: bool = False  # ended before it was done; can be resumed
    halted: str = ""  # why no further trial is proposed; "" while the sweep goes on
    listeners: list[Listener] = field(default_factory=list)

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

    def search_time_over(self) -> bool:
        """Whether `budget.hours` is used up: no search trial starts or goes on, the best are still retrained."""
        return self.deadline is not None and time.time() > self.deadline

    def get_state(self) -> dict[str, Any]:
        """Plain data for the snapshot."""
        return {
            "entries": self.ledger.entries,
            "consecutive_failures": self.ledger.consecutive_failures,
            "rungs": self.rungs.get_state(),
            "deadline": self.deadline,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Puts back what `get_state` gave, in place; trials that ran open their MLflow runs again when they go on."""
        self.ledger.entries.clear()
        self.ledger.entries.update(state["entries"])
        for entry in self.ledger.running():
            entry.started = False
        self.ledger.consecutive_failures = state["consecutive_failures"]
        self.rungs.set_state(state["rungs"])
        self.deadline = state["deadline"]

    def __reduce__(self) -> tuple[Callable[[str], RunningSweep], tuple[str]]:
        return running_sweep, (self.sweep_id,)


_REGISTERED: dict[str, RunningSweep] = {}


def register(sweep: RunningSweep) -> RunningSweep:
    """Makes a sweep the one that snapshots with its id come back to."""
    _REGISTERED[sweep.sweep_id] = sweep
    return sweep


def running_sweep(sweep_id: str) -> RunningSweep:
    """Returns the registered sweep of this process."""
    return _REGISTERED[sweep_id]
