"""The way to the first trial: what a sweep says before it trains, and which steps are being done now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PATIENCE_SECONDS = 3.0  # a step that takes longer is told of while it is being done
REPEAT_SECONDS = 15.0  # and then as often as this


def _tell_nobody(line: str) -> None:
    """For a caller who wants to see nothing."""


@dataclass
class Step:
    """Something that is being done before the first trial.

    Attributes:
        name: What is being done, as "loading the images".
        started: Reading of the monotonic clock, in seconds.
        progress: How far it is, "" where that is not known. Whoever does the step sets it.
        result: What has come of it, "" for nothing worth a line. Whoever does the step sets it.
    """

    name: str
    started: float = field(default_factory=time.monotonic)
    progress: str = ""
    result: str = ""

    def describe(self) -> str:
        """What is being done, how far it is, and for how long already."""
        so_far = f"{self.name} ({self.progress})" if self.progress else self.name
        return f"{so_far} … {time.monotonic() - self.started:.0f} s"


class Preparation:
    """What a sweep does before its first trial; steps may be done side by side, in threads.

    Args:
        say: Takes a line that stays.
        tells_of_long_steps: Whether `say` also hears of a step that takes long while it is being done. Where `running`
            is shown all the time it need not.
    """

    def __init__(self, say: Callable[[str], None] = _tell_nobody, *, tells_of_long_steps: bool = True) -> None:
        self.say = say
        self._tells_of_long_steps = tells_of_long_steps
        self._running: list[Step] = []

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that are being done now, the longest first."""
        return tuple(self._running)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """While it is open, the step is being done; at its end its result is told, with the seconds that it took."""
        step, ended = Step(name), threading.Event()
        self._running.append(step)
        if self._tells_of_long_steps:
            threading.Thread(target=self._watch, args=(step, ended), name=f"watch {name}", daemon=True).start()
        try:
            yield step
        finally:
            ended.set()
            self._running.remove(step)
        if step.result:
            self.say(f"{step.result} ({time.monotonic() - step.started:.1f} s)")

    def _watch(self, step: Step, ended: threading.Event) -> None:
        seconds = PATIENCE_SECONDS
        while not ended.wait(seconds):
            self.say(step.describe())
            seconds = REPEAT_SECONDS
