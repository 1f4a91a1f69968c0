"""The clock of one sweep's driver."""

from __future__ import annotations

import time


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
