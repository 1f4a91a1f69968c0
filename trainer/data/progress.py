"""How far the loading of a data set is, told in words while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Tell = Callable[[str], None]  # takes how far something is, as "40 of 170 MB"; threads may call it

_SECONDS = 0.5  # between two looks at a file that grows
_MEGABYTE = 1e6


def tell_nobody(words: str) -> None:
    """For a caller whom it does not concern."""


@contextmanager
def watch_files(paths: Sequence[Path], num_bytes: int | None, tell: Tell) -> Iterator[None]:
    """While it is open, tells how much has been downloaded.

    Args:
        paths: The files that grow; those not there yet count as empty.
        num_bytes: What they will have together, None where the server does not say.
        tell: Takes the words.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SECONDS):
            tell(_describe(sum(path.stat().st_size for path in paths if path.exists()), num_bytes))

    thread = threading.Thread(target=watch, name="watch download", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _describe(done: int, num_bytes: int | None) -> str:
    if num_bytes is None:
        return f"{done / _MEGABYTE:.0f} MB"
    if done >= num_bytes:
        return "unpacking"
    return f"{done / _MEGABYTE:.0f} of {num_bytes / _MEGABYTE:.0f} MB"
