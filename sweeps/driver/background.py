"""A call in a thread of its own, beside what else is done before a sweep starts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """Begins a call at once. Nobody has to wait for it: a process that is interrupted ends while it runs.

    Args:
        call: What to do; it runs beside the main thread, and gets no signals.
    """

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="preparation", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
            self._error = error

    def raise_if_failed(self) -> None:
        """Raises what the call has raised so far; waits for nothing."""
        if self._error is not None:
            raise self._error

    def result(self) -> Result:
        """What the call has returned, once it has; what it raised is raised here."""
        self._thread.join()
        self.raise_if_failed()
        return self._results[0]
