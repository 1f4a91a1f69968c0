"""The report of a sweep while it runs: written anew again and again by a process beside the driver.

Nothing of it runs in the driver's loop, and nothing that goes wrong with it reaches the sweep.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from sweeps.environment import list_packages
from sweeps.running.live import add_to_log
from tracking.report.write import write_page

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.running.sweep import RunningSweep

EVERY_SECONDS = 30.0
COST_RATIO = 2.0  # a report that takes long, since there is much of it or no time to spare, comes less often
MAX_SECONDS = 900.0  # that one may take
END_SECONDS = 10.0


class LiveReport:
    """Writes the report of a sweep every now and then, from its beginning until it is closed.

    Args:
        sweep: The sweep.
        home: Where its results are.
    """

    def __init__(self, sweep: RunningSweep, home: Home) -> None:
        self._sweep, self._uri = sweep, home.tracking_uri
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="live-report", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it; from here on no half report is written."""
        self._closing.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        pause, known = EVERY_SECONDS, -1
        while not self._closing.wait(pause):
            pause = EVERY_SECONDS
            num_events = sum(entry.epoch + 1 for entry in list(self._sweep.ledger.entries.values()))
            if num_events == known:
                continue
            known, began = num_events, time.monotonic()
            with suppress(OSError), TemporaryFile() as output:  # a full disk
                self._take(output, is_made=self._make(output))
            pause = max(EVERY_SECONDS, COST_RATIO * (time.monotonic() - began))

    def _make(self, output: IO[bytes]) -> bool:
        """Has a process write the page; whether it did."""
        command = [sys.executable, "-P", "-m", "tracking.report.half", self._sweep.sweep_id]
        with self._lock:
            if self._closing.is_set():
                return False
            self._process = subprocess.Popen(
                [*command, str(self._sweep.folder.path)],
                env=_build_environment(self._uri),
                stdin=subprocess.PIPE,  # open as long as this process lives: then the other one ends
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            return self._process.wait(MAX_SECONDS) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        finally:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _take(self, output: IO[bytes], *, is_made: bool) -> None:
        """Puts a page in its place; says once what kept one from being made."""
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
        with self._lock:
            if self._closing.is_set():
                return
            if is_made:
                write_page(text, self._sweep.folder.report)
            elif text not in self._complaints:
                self._complaints.add(text)
                what = text[:300] or "its process ended without a word"
                add_to_log(self._sweep.folder.driver_log, f"no report for now: {what}\n")


def _build_environment(tracking_uri: str) -> dict[str, str]:
    """Its store, and where our packages are, wherever they were found; the working directory is no such place."""
    places = [str(Path(list_packages()[0]).parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri,
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def live_report(sweep: RunningSweep, home: Home) -> Iterator[None]:
    """Keeps the report up to date while it is open."""
    live = LiveReport(sweep, home)
    try:
        yield
    finally:
        live.close()
