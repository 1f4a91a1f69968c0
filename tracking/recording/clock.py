"""The clock of one sweep's driver, and the time that a sweep has spent under its drivers. Pure but for the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracking.names import PHASE_PAUSED
from tracking.recording.events import PhaseNoted, SweepEnded, SweepStarted

if TYPE_CHECKING:
    from tracking.recording.events import Event


class Clock:
    """Tells the time since 1970, and never goes back: set once, it goes on by the machine's monotonic clock.

    Args:
        earliest_ms: The time of the sweep's last event, in milliseconds since 1970. A driver whose machine's clock is
            behind that begins there, so that nothing takes less than no time.
    """

    def __init__(self, earliest_ms: int = 0) -> None:
        self._began_ms = max(earliest_ms, int(time.time() * 1000))
        self._began = time.monotonic()

    def now_ms(self) -> int:
        """Milliseconds since 1970: the resolution of the journal, so that a replay compares the same times."""
        return self._began_ms + int(1000 * (time.monotonic() - self._began))


@dataclass
class DriverTime:
    """The time that a sweep has spent under its drivers, by the times of its events.

    The time between two drivers does not count, nor does that of a pause. Of a driver that was killed, the time until
    its last event counts.
    """

    _spent_ms: int = 0
    _since_ms: int | None = None  # from when on time counts now; None while it does not
    _last_ms: int = 0

    def take(self, event: Event) -> None:
        """Takes in one event of the sweep, in their order."""
        match event.what:
            case SweepStarted():
                self.begin(event.time_ms)
            case SweepEnded():
                self._stop(event.time_ms)
            case PhaseNoted(phase):
                self.follow(phase, event.time_ms)
        self._last_ms = max(self._last_ms, event.time_ms)

    def begin(self, time_ms: int) -> None:
        """A driver begins; its machine's clock may be behind that of the one before."""
        self._stop(self._last_ms)
        self._since_ms = self._last_ms = time_ms

    def follow(self, phase: str, time_ms: int) -> None:
        """The driver was asked for something; time counts but in a pause."""
        if phase == PHASE_PAUSED:
            self._stop(time_ms)
        elif self._since_ms is None:
            self._since_ms = time_ms

    def elapsed_ms(self, now_ms: int) -> int:
        """All that counts until now."""
        return self._spent_ms + (0 if self._since_ms is None else max(0, now_ms - self._since_ms))

    def _stop(self, time_ms: int) -> None:
        self._spent_ms, self._since_ms = self.elapsed_ms(time_ms), None
