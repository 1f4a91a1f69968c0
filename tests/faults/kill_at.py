"""Runs a module or a script, and sends its own process a signal when it comes to a certain call: SIGKILL, or `SIGNAL`.

`kill_at.py before package.module:Class.method 3 MODULE_OR_SCRIPT ARGUMENTS...` kills as the third call begins, `after`
when it has returned, `amid` when it has begun to write: of what `os.write` is to put down, half gets through.
"""

from __future__ import annotations

import functools
import importlib
import os
import runpy
import signal
import sys
from typing import Any


def kill_self() -> None:
    os.kill(os.getpid(), signal.Signals[os.environ.get("SIGNAL", "SIGKILL")])


def arm(when: str, place: str, number: int) -> None:
    """Replaces the function at `place` with one that counts its calls."""
    module_name, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module_name)
    for each in owners:
        owner = getattr(owner, each)
    original, num_calls = getattr(owner, name), 0

    @functools.wraps(original)
    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls != number:
            return original(*arguments, **options)
        if when == "before":
            kill_self()
        elif when == "amid":
            _write_half_and_die()
        result = original(*arguments, **options)
        kill_self()
        return result

    setattr(owner, name, call)


def _write_half_and_die() -> None:
    write = os.write

    def write_half(file: int, text: bytes) -> int:
        write(file, text[: len(text) // 2])
        kill_self()
        return 0

    os.write = write_half  # type: ignore[assignment]


if __name__ == "__main__":
    when, place, number, program, *arguments = sys.argv[1:]
    arm(when, place, int(number))
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
