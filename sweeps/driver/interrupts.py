"""How a sweep is ended from outside before it is done: signals, and requests that come through MLflow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tracking.names import PHASE_PAUSED
from tracking.store.control_channel import ControlChannel, Request

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep


def _list_signals() -> list[signal.Signals]:
    """What ends a sweep: Ctrl+C, a request to end, and a terminal that is closed unless that is to be outlived."""
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` has it
    return [signal.SIGINT, signal.SIGTERM, *([] if outlives else [signal.SIGHUP])]


@contextmanager
def graceful_interrupts(sweep: RunningSweep) -> Iterator[None]:
    """While Tune runs, turns the first signal into Tune's graceful end; every other one raises KeyboardInterrupt.

    Either way the sweep takes note that it was interrupted. Tune handles SIGINT itself, but neither SIGTERM nor the
    question who asked. Its end is asked for with SIGUSR1, whose handler Tune sets and leaves behind.
    """
    if not _is_main_thread():
        yield
        return
    before_tune = signal.getsignal(signal.SIGUSR1)

    def handle(signum: int, frame: Any) -> None:  # noqa: ARG001
        is_first = not sweep.interrupted
        sweep.interrupt()
        if is_first and signal.getsignal(signal.SIGUSR1) is not before_tune:
            signal.raise_signal(signal.SIGUSR1)
        else:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, handle) for number in _list_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGUSR1, before_tune)


def end_tune(sweep: RunningSweep) -> None:
    """Ends Tune, which runs in this thread, in order; the sweep is interrupted and can be resumed.

    Raises:
        KeyboardInterrupt: In a thread that gets no signals.
    """
    sweep.interrupt()
    if not _is_main_thread():
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGUSR1)


@contextmanager
def after_tune() -> Iterator[None]:
    """At its end, takes Tune's handler of SIGUSR1 away: nobody listens to it any more."""
    before = signal.getsignal(signal.SIGUSR1)
    try:
        yield
    finally:
        if _is_main_thread():
            signal.signal(signal.SIGUSR1, before)


@contextmanager
def ours_while_ray_starts() -> Iterator[None]:
    """Keeps the handler of SIGTERM, which Ray replaces by one of its own, and has Ray's processes outlive the terminal.

    SIGHUP of a terminal that is closed reaches all processes that were started from it. Ray's inherit that it is
    blocked; if they ended on it, Ray would end this process before it has closed its runs.
    """
    if not _is_main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    except SystemExit as error:  # Ray's handler, of a SIGTERM that came meanwhile
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def remote_requests(sweep: RunningSweep, tracking_uri: str) -> Iterator[None]:
    """Obeys what is asked of the sweep through MLflow (`sweeps pause`, `stop`, `cancel`, `resume`)."""

    def obey(request: Request) -> None:
        if request is Request.CANCEL:
            sweep.note_phase("cancelling")
            os.kill(os.getpid(), signal.SIGINT)
            return
        sweep.paused = request is Request.PAUSE
        sweep.stopping = sweep.stopping or request is Request.STOP
        sweep.note_phase("stopping" if sweep.stopping else PHASE_PAUSED if sweep.paused else "")

    channel = ControlChannel(tracking_uri, sweep.sweep_id, obey)
    try:
        yield
    finally:
        channel.close()
