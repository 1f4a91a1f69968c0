"""How a sweep is ended from outside before it is done: signals, and requests that come through MLflow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tracking.store.control_channel import ControlChannel, Request

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep


@contextmanager
def graceful_interrupts(sweep: RunningSweep) -> Iterator[None]:
    """Turns SIGINT and SIGTERM into Tune's graceful end (SIGUSR1), and takes note that the sweep was interrupted.

    Tune handles SIGINT itself, but neither SIGTERM nor the question who asked; a second signal ends at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    num_signals = 0

    def handle(signum: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal num_signals
        num_signals += 1
        if num_signals > 1:
            raise KeyboardInterrupt
        sweep.interrupt()
        if signal.getsignal(signal.SIGUSR1) in (signal.SIG_DFL, signal.SIG_IGN, None):
            raise KeyboardInterrupt  # Tune does not run yet
        signal.raise_signal(signal.SIGUSR1)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def remote_requests(sweep: RunningSweep, tracking_uri: str) -> Iterator[None]:
    """Obeys what is asked of the sweep through MLflow (`sweeps pause`, `stop`, `cancel`, `resume`)."""

    def obey(request: Request) -> None:
        if request is Request.CANCEL:
            sweep.recorder.note_phase("cancelling")
            os.kill(os.getpid(), signal.SIGINT)
            return
        sweep.paused = request is Request.PAUSE
        sweep.stopping = sweep.stopping or request is Request.STOP
        sweep.recorder.note_phase("stopping" if sweep.stopping else "paused" if sweep.paused else "")

    channel = ControlChannel(tracking_uri, sweep.sweep_id, obey)
    try:
        yield
    finally:
        channel.close()
