"""A sweep's events on disk, one JSON line each, written before anything is sent to MLflow.

An event that `append` has taken outlives this process: the line is in the operating system's hands before `append`
returns. Which events MLflow has got is kept beside the journal (`<journal>.delivered`), so that whoever opens it next
sends the rest. One process holds a journal at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tracking.recording.events import Event, Happening, PhaseNoted

_MOST_MISSING = 1_000_000  # a number beyond that was damaged itself


class JournalBusy(RuntimeError):
    """Another process writes this sweep's journal: the sweep is running."""


class Journal:
    """The events of one sweep on disk.

    Attributes:
        events: What was in it when it was opened, in the order in which it happened.
        holes: Sequence numbers that are missing among them: lines that were damaged, or cut out.
        delivered: MLflow has got every event up to this one.

    Raises:
        JournalBusy: When another process holds it.
        OSError: When it cannot be opened, or the file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marker = path.with_name(path.name + ".delivered")
        self._unwritten = b""  # lines that the disk refused, oldest first
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise JournalBusy(f"{path}: another process is running this sweep; wait for it, or stop it") from error
        except OSError:
            os.close(self._file)
            raise
        self.events = _read_events(path)
        self.delivered = self._read_marker()
        self._last_sequence = max(self.delivered, self.events[-1].sequence if self.events else 0)
        known = {event.sequence for event in self.events}
        self.holes = tuple(each for each in range(1, self._last_sequence + 1) if each not in known)
        self._ends_in_newline = _ends_in_newline(path)

    def undelivered(self) -> tuple[Event, ...]:
        """What was in the journal when it was opened and MLflow has not got."""
        return tuple(event for event in self.events if event.sequence > self.delivered)

    def build_event(self, time_ms: int, what: Happening) -> Event:
        """Returns the next event; nothing is written."""
        self._last_sequence += 1
        return Event(self._last_sequence, time_ms, what)

    def fill(self, events: Iterable[Event]) -> None:
        """Writes events into holes: what was damaged and could be had from elsewhere.

        Raises:
            OSError: When the disk is full or gone.
        """
        filled = {event.sequence: event for event in events}
        for event in filled.values():
            self.append(event)
        known = {event.sequence: event for event in self.events} | filled
        self.events = tuple(known[sequence] for sequence in sorted(known))
        self.holes = tuple(each for each in self.holes if each not in filled)

    def append(self, event: Event) -> None:
        """Writes an event. After a failure it stays in memory and is written, in order, with the next.

        Raises:
            OSError: When the disk is full or gone; nothing is lost while this process lives.
        """
        self._unwritten += event.to_line()
        self.write()

    def write(self) -> None:
        """Writes what the disk has refused so far.

        Raises:
            OSError: When it still does.
        """
        if not self._unwritten:
            return
        if not self._ends_in_newline:  # a torn line of a crash or a full disk: what follows begins a line of its own
            os.write(self._file, b"\n")
            self._ends_in_newline = True
        num_written = os.write(self._file, self._unwritten)
        self._ends_in_newline = num_written == len(self._unwritten)
        if not self._ends_in_newline:
            # Whole lines that got through are done; the torn one is written again.
            self._unwritten = self._unwritten[self._unwritten.rfind(b"\n", 0, num_written) + 1 :]
            raise OSError(28, "the disk took a part of the journal's last line")
        self._unwritten = b""

    def mark_delivered(self, sequence: int) -> None:
        """Keeps on disk that MLflow has got everything up to `sequence`.

        Raises:
            OSError: When it cannot be written; the events would be sent once more, which changes nothing in MLflow.
        """
        self.delivered = sequence
        fresh = self._marker.with_name(self._marker.name + ".new")
        fresh.write_text(f"{sequence}\n")
        fresh.replace(self._marker)

    def sync(self) -> None:
        """Forces the journal onto the disk, against a loss of power."""
        with contextlib.suppress(OSError):
            os.fsync(self._file)

    def close(self) -> None:
        """Lets the journal go; a second time changes nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read_marker(self) -> int:
        try:
            return int(self._marker.read_text())
        except (OSError, ValueError):
            return 0  # sending all of it again is safe


def is_held(path: Path) -> bool:
    """Whether a process holds the journal now: its sweep is running."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_phase(path: Path) -> str:
    """What the sweep's driver was last asked to do, as it noted in the journal, which it may hold."""
    lines = [line for line in path.read_bytes().splitlines() if PhaseNoted.kind.encode() in line]
    for line in reversed(lines):
        with contextlib.suppress(ValueError, RecursionError):
            what = Event.from_line(line).what
            if isinstance(what, PhaseNoted):
                return what.phase
    return ""


def _read_events(path: Path) -> tuple[Event, ...]:
    """Events in the order in which they happened.

    A line that is torn or damaged is skipped. The event of a line that a crash has torn was never taken, and its number
    went to the next one; that of a line that was damaged later leaves a hole.
    """
    events: dict[int, Event] = {}
    lines = path.read_bytes().splitlines()
    for line in lines:
        try:
            event = Event.from_line(line)
        except (ValueError, RecursionError):
            continue
        if 0 < event.sequence <= _MOST_MISSING + len(lines):
            events.setdefault(event.sequence, event)
    return tuple(_keep_forward(events[sequence] for sequence in sorted(events)))


def _keep_forward(events: Iterable[Event]) -> Iterator[Event]:
    """The events, later ones moved on by as much as the clock was once set back: nothing takes less than no time."""
    latest_ms = moved_ms = 0
    for event in events:
        moved_ms += max(0, latest_ms - event.time_ms - moved_ms)
        latest_ms = event.time_ms + moved_ms
        yield replace(event, time_ms=latest_ms) if moved_ms else event


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
