"""Tune's callback: the processes of trials, the cluster's nodes, and the terminal.

Tune runs callbacks in its only loop, and an exception in one ends the sweep: nothing here waits or raises. The recorder
takes events into a queue, the terminal redraws in a thread of its own.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial

from sweeps.driver.cluster import count_slots_now
from sweeps.running.lifecycle import lose, start
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.trials.ledger import TrialEntry
from tracking.names import TrialState
from trainer.failures import shorten_log, shorten_reason
from trainer.trainable import parse_trial

_COUNT_SECONDS = 2.0  # how often the cluster's nodes are counted, and trials that hang looked for
_MISSED_SECONDS = 20.0  # a driver that has not looked for so long stood still


class SweepCallback(Callback):  # type: ignore[misc]  # Ray ships no types
    """Follows every trial's process from its start to its end, and the cluster as nodes join and leave it."""

    def __init__(self, sweep: RunningSweep) -> None:
        self._sweep = sweep
        self._next_count_at = time.monotonic() + _COUNT_SECONDS
        self._looked_at = time.monotonic()
        self._heard: dict[str, tuple[Trial, float]] = {}  # trials that run, and when they were last heard of
        self._hung: set[str] = set()  # trials whose process was killed, since it ended no epoch for too long

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:  # noqa: ARG002
        """Counts how many trials can run at a time (nodes that joined get some), and ends trials that hang."""
        if time.monotonic() >= self._next_count_at:
            self._next_count_at = time.monotonic() + _COUNT_SECONDS
            self._sweep.slots = max(1, count_slots_now(self._sweep.spec.resources))
            self._end_hung()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Notes that a trial's process starts, perhaps again."""
        entry = self._entry(trial)
        self._heard[entry.trial_id] = trial, time.monotonic()
        start(self._sweep, entry)

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        result: dict[str, Any],  # noqa: ARG002
        **info: Any,  # noqa: ARG002
    ) -> None:
        """Notes that a trial lives; the scheduler takes its result."""
        self._heard[self._entry(trial).trial_id] = trial, time.monotonic()

    def _end_hung(self) -> None:
        """Kills the process of each trial that has not ended an epoch within all the hours that a trial may take."""
        hours = self._sweep.spec.budget.trial_hours
        if hours is None:
            return
        now = time.monotonic()
        missed, self._looked_at = now - self._looked_at, now
        for trial_id, (trial, heard_at) in list(self._heard.items()):
            if missed > _MISSED_SECONDS:  # the driver stood still, and what trials said meanwhile is still to be read
                self._heard[trial_id] = trial, heard_at + missed
            elif now - heard_at > 3600 * hours and trial.status == Trial.RUNNING:
                del self._heard[trial_id]
                self._hung.add(trial_id)
                trial.max_failures = 0  # it would only hang again
                ray.kill(trial.temporary_state.ray_actor)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Notes that a trial's process has let go of it; the searcher says how."""
        self._heard.pop(self._entry(trial).trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Ends a trial that hung, or whose process was lost, or could not save, too often."""
        entry = self._entry(trial)
        self._heard.pop(entry.trial_id, None)
        if entry.trial_id in self._hung:
            hours = self._sweep.spec.budget.trial_hours
            lose(self._sweep, entry, f"hung: no epoch ended within trial_hours, {hours:g}")
            return
        error = _read_error(trial)
        last_line = next((line for line in reversed(error.splitlines()) if line.strip()), "no word of Ray's on it")
        reason = f"its process or node was lost {trial.num_failures} times, the last time: {last_line}"
        lose(self._sweep, entry, shorten_reason(reason), error)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002
        """Says that a trial goes on after its process was lost."""
        entry = self._entry(trial)
        self._heard.pop(entry.trial_id, None)  # until it has a process again
        self._sweep.notify(entry, TrialEvent.RECOVERED)

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


def keep_error(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
    """A listener that writes why a trial failed to its log: the reason, and the traceback or what Ray said."""
    if entry is None or event is not TrialEvent.ENDED or entry.state is not TrialState.FAILED:
        return
    with contextlib.suppress(OSError):  # a full disk must not end the sweep; the reason is recorded anyway
        log = sweep.folder.trial_log(entry.trial_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        text = f"{entry.stop_reason}\n\n{entry.error}"
        log.write_text(text, encoding="utf-8", errors="backslashreplace")
