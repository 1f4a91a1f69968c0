"""What a notebook shows while a sweep runs: the table of the terminal, redrawn in place."""

from __future__ import annotations

import io
import sys
import time
from html import escape
from types import TracebackType
from typing import Any, Self

from sweeps.running.live import TableView
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.terminal import PlainConsole
from sweeps.trials.ledger import TrialEntry

WIDTH = 120  # characters; a notebook scrolls what does not fit
_SECONDS = 0.5  # between two drawings


def is_notebook() -> bool:
    """Whether this process runs the cells of a notebook."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookView(TableView):
    """The table of the terminal as an output of the cell; the last one stays."""

    def __init__(self) -> None:
        super().__init__(PlainConsole(io.StringIO(), width=WIDTH, is_text=True))
        self._output: Any = None
        self._drawn = 0.0
        self._said: list[str] = []

    def _say(self, line: str) -> None:
        self._said.append(line)
        self._draw()

    def __enter__(self) -> Self:
        """Draws the table."""
        from IPython.display import display

        self._output = display(self._build_page(), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draws it for the last time."""
        self._draw()

    def __call__(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Takes note, and draws twice a second."""
        super().__call__(sweep, entry, event)
        if time.monotonic() - self._drawn > _SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._output.update(self._build_page())

    def _build_page(self) -> Any:
        from IPython.display import HTML

        console = PlainConsole(io.StringIO(), width=WIDTH, is_text=True)
        with console.capture() as drawn:
            console.print(*self._said, self._render(), sep="\n")
        return HTML(f"<pre>{escape(drawn.get())}</pre>")
