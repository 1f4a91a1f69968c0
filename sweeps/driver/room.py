"""A sweep whose disk is full: nothing new starts until there is room, and after a while it ends, to be resumed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sweeps.running.sweep import RunningSweep

RESERVE_BYTES = 100 * 2**20  # a checkpoint or two, the events of what runs, the report
LIMIT_SECONDS = 1800.0  # after which a sweep that has no room ends
_FULL = (errno.ENOSPC, errno.EDQUOT)


class RoomWatch:
    """Holds a sweep while a disk that it needs is full.

    What runs goes on: its events wait in memory and in order, its checkpoints in their processes.

    Args:
        sweep: Which.
        monotonic: The clock, in seconds.
    """

    def __init__(self, sweep: RunningSweep, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sweep = sweep
        self._monotonic = monotonic
        self._held_since = 0.0

    def look(self) -> bool:
        """Holds the sweep or lets it go on.

        Returns:
            False when it has been held for so long that it is to end.
        """
        disk, now = self._find_full_disk(), self._monotonic()
        if not disk:
            self._sweep.held = ""
            return True
        if not self._sweep.held:
            self._held_since = now
        num_waiting = self._sweep.recorder.num_unwritten
        waiting = f"; {num_waiting} events wait" if num_waiting else ""
        self._sweep.held = f"{disk} is full: nothing new starts until there is room{waiting}"
        if now - self._held_since < LIMIT_SECONDS:
            return True
        self._sweep.halt(f"{disk} was full for {LIMIT_SECONDS / 60:g} minutes")
        return False

    def _find_full_disk(self) -> str:
        """The disk that has no room, in words; "" where all have."""
        folder, ray_folder = self._sweep.folder.path, Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
        if self._sweep.recorder.disk_problem or _is_full(folder):
            return f"the disk that holds results ({folder})"
        return f"the disk that holds Ray's temporary files ({ray_folder})" if _is_full(ray_folder) else ""


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path).free < RESERVE_BYTES
    except OSError:  # nobody can say
        return False


@contextmanager
def interrupted_by_full_disk(sweep: RunningSweep) -> Iterator[None]:
    """Has a sweep end as interrupted where Ray finds no room for a file of its own."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        sweep.halt(f"{error.filename or 'a file of Ray'}: no space left on its disk")
        sweep.interrupt()


@contextmanager
def without_snapshots() -> Iterator[None]:
    """Has Tune write one snapshot, which it looks for at its end, and no more.

    Nobody else reads them, and one that finds no room would end the sweep.
    """
    from ray.tune.execution.tune_controller import TuneController

    original, num_calls = TuneController.checkpoint, count()

    def checkpoint(self: Any, force: bool = False, wait: bool = False) -> None:  # noqa: ARG001
        if next(num_calls) == 0:
            original(self, force=True, wait=True)

    TuneController.checkpoint = checkpoint
    try:
        yield
    finally:
        TuneController.checkpoint = original
