"""Tune's callback: the processes of trials, the cluster's nodes, and the terminal.

Tune runs callbacks in its only loop, and an exception in one ends the sweep: nothing here waits or raises. The recorder
takes events into a queue, the terminal redraws in a thread of its own.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from sweeps.driver.cluster import count_slots_now
from sweeps.driver.hanging import HangCheck
from sweeps.driver.interrupts import end_tune
from sweeps.driver.room import RoomWatch
from sweeps.running.lifecycle import lose, start
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.trials.ledger import TrialEntry
from trainer.failures import shorten_log, shorten_reason
from trainer.trainable import parse_trial

_COUNT_SECONDS = 2.0  # how often the cluster's nodes are counted, and trials that hang looked for


class SweepCallback(Callback):  # type: ignore[misc]  # Ray ships no types
    """Follows every trial's process from its start to its end, and the cluster as nodes join and leave it."""

    def __init__(self, sweep: RunningSweep, room: RoomWatch | None = None) -> None:
        self._sweep = sweep
        self._room = room or RoomWatch(sweep)
        self._next_count_at = time.monotonic() + _COUNT_SECONDS
        self._hang_check = HangCheck(sweep)

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Counts how many trials can run at a time (nodes that joined get some), and ends trials that hang."""
        if time.monotonic() >= self._next_count_at:
            self._next_count_at = time.monotonic() + _COUNT_SECONDS
            if not self._room.look():
                end_tune(self._sweep)
            self._sweep.slots = max(1, count_slots_now(self._sweep.spec.resources))
            self._hang_check.look()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Notes that a trial's process starts, perhaps again."""
        self._hang_check.watch(trial)
        start(self._sweep, self._entry(trial))

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],  # noqa: ARG002
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Notes that a trial lives; the scheduler takes its result."""
        self._hang_check.hear(trial)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Notes that a trial's process has let go of it; the searcher says how."""
        self._hang_check.forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Ends a trial that hung, or whose process was lost too often."""
        self._hang_check.forget(trial)
        entry = self._entry(trial)
        error = _read_error(trial)
        if reason := self._hang_check.find_reason(trial):
            lose(self._sweep, entry, reason, error)
            return
        last_line = next((line for line in reversed(error.splitlines()) if line.strip()), "no word of Ray's on it")
        reason = f"its process or node was lost {trial.num_failures} times, the last time: {last_line}"
        lose(self._sweep, entry, shorten_reason(reason), error)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Says that a trial goes on after its process was lost."""
        self._hang_check.forget(trial)  # until it has a process again
        self._sweep.notify(self._entry(trial), TrialEvent.RECOVERED)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Lets the terminal look."""
        self._sweep.notify(None, TrialEvent.STEP)

    def _entry(self, trial: Trial) -> TrialEntry:
        return self._sweep.ledger.entries[parse_trial(trial.config).trial_id]


def _read_error(trial: Trial) -> str:
    """What Ray said of each process of a trial that was lost; "" where that cannot be read."""
    try:
        return shorten_log(Path(trial.error_file or "").read_text(encoding="utf-8", errors="backslashreplace"))
    except OSError:
        return ""
