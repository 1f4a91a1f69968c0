"""Files that are there whole or not at all, whenever a process is killed or a disk is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replace_file(path: Path) -> Iterator[TextIO]:
    """A new file that takes the place of `path` when it is whole; until then what was there stays.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            yield file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def write_file(path: Path, text: str) -> None:
    """Writes a file, as `replace_file` does."""
    with replace_file(path) as file:
        file.write(text)
