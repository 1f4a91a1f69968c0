"""Removes from the disk, as a sweep goes, what it needs no longer: checkpoints of trials that have ended.

The journal holds the end of a trial before its checkpoints go. A driver that is lost in between leaves some behind,
which the next one removes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sweeps.home import SweepFolder
from sweeps.running.live import add_to_log
from sweeps.running.needed import count_superfluous, list_affected
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.trials.ledger import TrialEntry

_WAIT_SECONDS = 1.0  # between two looks whether the journal could be written


class CheckpointRemover:
    """Removes checkpoints in a thread of its own; nothing that goes wrong there reaches the driver.

    Args:
        sweep: Whose. Its ledger is read by the driver alone, when it calls.
    """

    def __init__(self, sweep: RunningSweep) -> None:
        self._sweep = sweep
        self._closing = threading.Event()
        self._has_started = self._has_failed = False
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint-remover")

    def start(self) -> None:
        """Removes what an earlier driver has left behind, then follows this one's trials."""
        self._has_started = True
        self._submit(self._sweep.ledger.entries.values(), of_all=True)
        self._sweep.listeners.append(self._hear)

    def close(self) -> None:
        """Tries once more what could not be removed, removes what Tune kept for itself, and ends the thread."""
        if self._has_started:  # else the ledger does not hold all that the journal says
            self._sweep.listeners.remove(self._hear)
            self._submit(self._sweep.ledger.entries.values(), of_all=True)
        self._closing.set()
        self._pool.shutdown()
        drop_snapshots(self._sweep.folder)

    def _hear(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        if entry is not None and event in (TrialEvent.PAUSED, TrialEvent.ENDED):
            self._submit(list_affected(sweep, entry))

    def _submit(self, entries: Iterable[TrialEntry], *, of_all: bool = False) -> None:
        self._pool.submit(self._remove, count_superfluous(self._sweep, entries), of_all=of_all)

    def _remove(self, superfluous: Mapping[str, int], *, of_all: bool) -> None:
        while self._sweep.recorder.disk_problem:  # the journal does not hold the trial's end yet
            if self._closing.wait(_WAIT_SECONDS):
                return
        if of_all:
            there = self._sweep.folder.trials_with_checkpoints()
            superfluous = {trial_id: count for trial_id, count in superfluous.items() if trial_id in there}
        problem = remove_checkpoints(self._sweep.folder, superfluous)
        if problem and not self._has_failed:
            self._has_failed = True
            add_to_log(self._sweep.folder.driver_log, f"{problem}\n")


def remove_checkpoints(folder: SweepFolder, superfluous: Mapping[str, int]) -> str:
    """Removes checkpoints of trials; returns one sentence on the first that could not be removed, "" where all were.

    Args:
        folder: Of the sweep.
        superfluous: Ids of trials, and how many of the latest checkpoints stay.
    """
    problem = ""
    for trial_id, num_kept in superfluous.items():
        try:
            folder.drop_checkpoints(trial_id, num_kept)
        except OSError as error:
            problem = problem or (
                f"{error.filename or folder.ray}: a checkpoint of {trial_id}, which has ended, could not be removed "
                f"({error.strerror}); delete {folder.ray} yourself once the sweep has ended"
            )
    return problem


def drop_snapshots(folder: SweepFolder) -> None:
    """Deletes what Tune writes for a restoring of its own: 33 kB for each trial, which nobody reads."""
    for file in folder.ray.glob("*/*"):
        if file.is_file():
            with contextlib.suppress(OSError):
                file.unlink()
