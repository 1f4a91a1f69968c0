"""A sweep's events on disk, one JSON line each, written before anything is sent to MLflow.

An event that `append` has taken outlives this process: the line is in the operating system's hands before `append`
returns. Which events MLflow has got is kept beside the journal (`<journal>.delivered`), so that whoever opens it next
sends the rest. One process holds a journal at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tracking.recording.events import Event, Happening, PhaseNoted, SweepStarted

_MOST_MISSING = 1_000_000  # a number beyond that was damaged itself
_BUSY = "{path}: another process is running this sweep; wait for it, or stop it"


class JournalBusy(RuntimeError):
    """Another process writes this sweep's journal: the sweep is running."""


class Journal:
    """The events of one sweep on disk.

    Attributes:
        events: What was in it when it was opened, in the order in which it happened.
        holes: Sequence numbers that are missing among them: lines that were damaged, or cut out.
        is_damaged: Whether anything in it is not as it was written; `rewrite` mends that.
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
            raise JournalBusy(_BUSY.format(path=path)) from error
        except OSError:
            os.close(self._file)
            raise
        if not _is_at(path, self._file):  # another process has just rewritten it
            os.close(self._file)
            raise JournalBusy(_BUSY.format(path=path))
        self.delivered = self._read_marker()
        self._ends_in_newline = _ends_in_newline(path)
        found = _read_lines(path, self._ends_in_newline)
        self.events = tuple(_keep_forward(found.events))
        self._last_sequence = max(self.delivered, found.last_sequence)
        known = {event.sequence for event in self.events}
        self.holes = tuple(each for each in range(1, self._last_sequence + 1) if each not in known)
        is_begun = not self.events or isinstance(self.events[0].what, SweepStarted)
        self.is_damaged = bool(self.holes) or not found.is_in_order or not is_begun

    def undelivered(self) -> tuple[Event, ...]:
        """What was in the journal when it was opened and MLflow has not got."""
        return tuple(event for event in self.events if event.sequence > self.delivered)

    def build_event(self, time_ms: int, what: Happening) -> Event:
        """Returns the next event; nothing is written."""
        self._last_sequence += 1
        return Event(self._last_sequence, time_ms, what)

    def rewrite(self, happened: Iterable[tuple[int, Happening]]) -> None:
        """Replaces a damaged journal, which is kept beside it; all of it counts as not delivered.

        Args:
            happened: All events in their order, each with its time.

        Raises:
            OSError: When the disk is full or gone; the journal is then as it was.
        """
        events = tuple(Event(sequence, time_ms, what) for sequence, (time_ms, what) in enumerate(happened, 1))
        shutil.copy2(self.path, self.find_copy())
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_bytes(b"".join(event.to_line() for event in events))
        file = os.open(fresh, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        fcntl.flock(file, fcntl.LOCK_EX)  # before it takes the journal's place: nobody may get in between
        os.fsync(file)
        self._marker.unlink(missing_ok=True)
        fresh.replace(self.path)
        os.close(self._file)
        self._file, self._ends_in_newline = file, True
        self.events, self.delivered, self._last_sequence = events, 0, len(events)
        self.holes, self.is_damaged = (), False

    def find_copy(self) -> Path:
        """Where the next damaged journal is kept."""
        names = (self.path.with_name(f"{self.path.stem}.damaged-{number}.jsonl") for number in itertools.count(1))
        return next(path for path in names if not path.exists())

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
        # After a torn line of a crash or a full disk, what follows begins a line of its own.
        text = self._unwritten if self._ends_in_newline else b"\n" + self._unwritten
        num_written = os.write(self._file, text)
        self._ends_in_newline = text[:num_written].endswith(b"\n")
        if num_written < len(text):
            # Whole lines that got through are done; the torn one is written again.
            self._unwritten = text[text.rfind(b"\n", 0, num_written) + 1 :].removeprefix(b"\n")
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


@dataclass(frozen=True)
class _Lines:
    """What the lines of a journal say.

    Attributes:
        events: In the order in which they happened.
        is_in_order: Whether every line is as it was written, where it was written.
        last_sequence: The number of the last event that was taken, though its line may be damaged.
    """

    events: tuple[Event, ...]
    is_in_order: bool
    last_sequence: int


def _read_lines(path: Path, ends_in_newline: bool) -> _Lines:
    """Reads what can be read.

    The event of a line that a crash has torn was never taken, and its number went to the next one: nothing is wrong
    with that. A line that was damaged later leaves a hole; that of the last one is told from a torn one by its newline.
    """
    events: dict[int, Event] = {}
    lines, is_in_order, num_bad = path.read_bytes().splitlines(), True, 0
    for line in lines:
        event = _read_line(line.strip(b"\0"))  # a file system may put zeros where a loss of power cut it off
        if event is None or not 0 < event.sequence <= _MOST_MISSING + len(lines):
            num_bad += 1
            continue
        is_in_order = is_in_order and event.sequence == len(events) + 1 and b"\0" not in line
        events.setdefault(event.sequence, event)
        num_bad = 0
    num_lost = num_bad if ends_in_newline else max(0, num_bad - 1)
    return _Lines(tuple(events[each] for each in sorted(events)), is_in_order, max(events, default=0) + num_lost)


def _read_line(line: bytes) -> Event | None:
    try:
        return Event.from_line(line)
    except (ValueError, RecursionError):
        return None


def _is_at(path: Path, file: int) -> bool:
    """Whether an open file is still the one that stands at a path."""
    here, there = os.fstat(file), path.stat()
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


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
