"""A sweep that is held while a disk is full, by a clock and a disk of the test's own."""

import errno
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.driver.room import LIMIT_SECONDS, RESERVE_BYTES, RoomWatch, interrupted_by_full_disk


class Disks:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.free: dict[str, int] = {"/results/s": 10 * RESERVE_BYTES, tempfile.gettempdir(): 10 * RESERVE_BYTES}
        monkeypatch.delenv("RAY_TMPDIR", raising=False)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=self.free[str(path)]))
        self.recorder = SimpleNamespace(num_unwritten=0, disk_problem="")
        self.sweep: Any = SimpleNamespace(
            held="", halted="", folder=SimpleNamespace(path=Path("/results/s")), recorder=self.recorder
        )
        self.sweep.halt = lambda reason: setattr(self.sweep, "halted", reason)
        self.watch = RoomWatch(self.sweep, monotonic=lambda: self.now)


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    return Disks(monkeypatch)


def test_what_has_room_goes_on(disks: Disks) -> None:
    assert disks.watch.look()
    assert disks.sweep.held == ""


def test_a_disk_without_room_holds_the_sweep_until_there_is_some(disks: Disks) -> None:
    disks.free["/results/s"] = RESERVE_BYTES - 1
    assert disks.watch.look()
    assert disks.sweep.held == (
        "the disk that holds results (/results/s) is full: nothing new starts until there is room"
    )
    disks.free["/results/s"] = RESERVE_BYTES
    assert disks.watch.look()
    assert disks.sweep.held == ""


def test_events_that_cannot_be_written_hold_the_sweep_as_well(disks: Disks) -> None:
    disks.recorder.num_unwritten, disks.recorder.disk_problem = 3, "no room"
    assert disks.watch.look()
    assert disks.sweep.held.endswith("until there is room; 3 events wait")


def test_the_disk_of_rays_temporary_files_counts(disks: Disks) -> None:
    disks.free[tempfile.gettempdir()] = 0
    assert disks.watch.look()
    assert disks.sweep.held.startswith("the disk that holds Ray's temporary files (")


def test_a_sweep_that_is_held_for_too_long_is_to_end_and_says_why(disks: Disks) -> None:
    disks.free["/results/s"] = 0
    assert disks.watch.look()
    disks.now += LIMIT_SECONDS - 1
    assert disks.watch.look()
    disks.free["/results/s"] = RESERVE_BYTES
    assert disks.watch.look()
    disks.free["/results/s"] = 0
    disks.now += 2
    assert disks.watch.look(), "each time that it is full counts on its own"
    disks.now += LIMIT_SECONDS
    assert not disks.watch.look()
    assert disks.sweep.halted == "the disk that holds results (/results/s) was full for 30 minutes"


def test_a_file_of_rays_that_finds_no_room_interrupts_the_sweep(disks: Disks) -> None:
    interrupted = []
    disks.sweep.interrupt = lambda: interrupted.append(True)
    with interrupted_by_full_disk(disks.sweep):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/ray/error.pkl")
    assert interrupted
    assert disks.sweep.halted == "/tmp/ray/error.pkl: no space left on its disk"
    with pytest.raises(PermissionError), interrupted_by_full_disk(disks.sweep):
        raise PermissionError(errno.EACCES, "Permission denied")
