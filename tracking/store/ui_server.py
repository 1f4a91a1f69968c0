"""Runs a server with all its processes for as long as standard input is open; then ends them.

Whoever started it may end in any way, also by a signal that nobody can handle: the system closes its end of the pipe.
This process is the first of a session of its own, whose processes are the server's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

INTERRUPT_SECONDS = 8.0  # that the server has to end in order


def main(command: list[str]) -> int:
    """Runs a command; returns its exit code when it has ended by itself."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # not before: the server would inherit it
    threading.Thread(target=_end_with_input, daemon=True).start()
    return server.wait()


def _end_with_input() -> None:
    """Interrupts the session when standard input ends: SIGTERM would end the first process of MLflow's server only."""
    while os.read(0, 4096):
        continue
    os.killpg(0, signal.SIGINT)
    time.sleep(INTERRUPT_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
