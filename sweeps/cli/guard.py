"""What surrounds every command: whatever ends it is told in a sentence, with the exit code that belongs to it."""

from __future__ import annotations

import atexit
import errno
import json
import os
import re
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from sweeps.errors import BadUsage, ExitCode, Interrupted, SpecError, SweepError
from sweeps.home import open_home
from sweeps.library_output import keep_traceback, library_output_in_file
from sweeps.terminal import StandardOutput, show_controls

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_MAX_LETTERS = 300  # of an error that nobody foresaw


class Unforeseen(SweepError):
    """An error that no command knows of; its traceback is in a file."""


class OutputLost(SweepError):
    """Standard output takes nothing more; whether that is worth a word is decided at the end."""

    exit_code = ExitCode.DONE


class GuardedCommand(TyperCommand):
    """A command whose errors are sentences, and during which libraries print into a file; `--debug` shows all."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command.

        Raises:
            SweepError: For whatever went wrong.
        """
        debug = bool(ctx.find_root().params.get("debug"))
        with nullcontext() if debug else library_output_in_file(), _foreseen(debug=debug):
            return super().invoke(ctx)


class GuardedGroup(TyperGroup):
    """The commands as a whole: an argument that fits none of them is a sentence too."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Runs the command that the arguments name.

        Raises:
            BadUsage: They name none, or one that does not take them.
        """
        try:
            code = super().main(*arguments, **{**options, "prog_name": "sweeps", "standalone_mode": False})
        except TyperException as error:
            if not error.format_message():  # no argument at all: the help was printed
                sys.exit(ExitCode.BAD_USAGE)
            raise BadUsage(_describe_usage(error)) from error
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _describe_usage(error: TyperException) -> str:
    """What is wrong with the arguments, and where it is said which there are."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "sweeps"
    message = error.format_message().replace("Value error, ", "").strip().rstrip(".?")
    words = re.sub(r"(^|: |\. )([A-Z])(?=[a-z])", lambda found: f"{found[1]}{found[2].lower()}", message)
    return f"{command}: {words.replace('. ', '; ')}; see `{command} --help`"


@contextmanager
def interrupted_as(describe: Callable[[], str]) -> Iterator[None]:
    """Tells what an interrupt has left behind, and how to go on.

    Raises:
        Interrupted: For each KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; {describe()}") from error


@contextmanager
def _foreseen(*, debug: bool) -> Iterator[None]:
    """Turns what typer would answer in words of its own, or with a traceback, into errors of ours."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted") from error
    except Exception as error:
        if isinstance(error, (typer.Exit, typer.Abort, SweepError, *_list_told())):
            raise
        if isinstance(error, OSError) and _find_output_fault() is not None:
            raise OutputLost from error
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise Unforeseen(f"{error.filename or 'a disk'}: no space left; free some, and try again") from error
        if isinstance(error, OSError) and _is_result(error.filename):
            where = open_home().path
            raise BadUsage(
                f"{error.filename}: {error.strerror}; results go to {where}: set SWEEPS_HOME to a folder "
                "that can be written, or mend this one"
            ) from error
        if debug:
            traceback.print_exc()
        raise Unforeseen(_shorten(error) if debug else _describe(error)) from error


def _is_result(filename: object) -> bool:
    """Whether a file that could not be had is one of the results folder, or the folder itself."""
    return isinstance(filename, str | os.PathLike) and Path(filename).absolute().is_relative_to(open_home().path)


def _list_told() -> tuple[type[Exception], ...]:
    """Errors of the packages below whose message is written for the user."""
    from tracking.recording.journal import JournalBusy
    from tracking.store.connection import TrackingUnavailable
    from tracking.store.queries import SweepNotFound

    return JournalBusy, TrackingUnavailable, SweepNotFound


def _describe(error: Exception) -> str:
    path = keep_traceback(error, open_home().path / "logs")
    where = f"its traceback is in {path}, and shown by" if path else "its traceback is shown by"
    command = shlex.join(["sweeps", "--debug", *sys.argv[1:]])
    return f"{_shorten(error)} (an error that was not foreseen; {where} `{command}`)"


def _shorten(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:_MAX_LETTERS]


def _find_output_fault() -> OSError | None:
    """Why not all that was printed got into standard output; None when it did."""
    with suppress(OSError):
        sys.stdout.flush()
    return sys.stdout.fault if isinstance(sys.stdout, StandardOutput) else None


def open_standard_streams() -> None:
    """Has all three standard streams open, and able to write every character.

    A descriptor that whoever started this has closed would be given to the next file that is opened, and what is
    printed would get into that. What an encoding lacks is written as an escape.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, flags), descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = cast("TextIO", StandardOutput(sys.stdout))


def take_signals() -> None:
    """Has SIGTERM, and SIGHUP unless it is to be outlived (`nohup`), end a command as Ctrl+C does."""

    def interrupt(signum: int, frame: Any) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, interrupt)


def run_guarded(run: Callable[[], None]) -> NoReturn:
    """Runs the command line and ends the process.

    Args:
        run: Ends by SystemExit, or one of the errors that a `GuardedCommand` raises.
    """
    code, message, faults = int(ExitCode.DONE), "", []
    try:
        with _foreseen(debug=False):
            run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        code, message = int(ExitCode.INTERRUPTED), "interrupted"
    except SweepError as error:
        code, message = int(error.exit_code), str(error)
        faults = [asdict(fault) for fault in error.faults] if isinstance(error, SpecError) else []
    except _list_told() as error:
        is_away = type(error).__name__ == "TrackingUnavailable"
        code, message = int(ExitCode.UNREACHABLE if is_away else ExitCode.BAD_USAGE), str(error)
    if message and _wants_json(sys.argv[1:]):
        _print_error(code, message, faults)
    _end(code, message)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether a program reads the answer."""
    pairs = pairwise(arguments)
    return (
        any(each in ("--json", "--json-lines", "--format=json") for each in arguments) or ("--format", "json") in pairs
    )


def _print_error(code: int, message: str, faults: Sequence[Mapping[str, Any]]) -> None:
    """Writes an error for programs, into standard output; its sentence goes to standard error as always."""
    with suppress(OSError):
        sys.stdout.write(json.dumps({"error": message, "exit_code": code, "faults": faults}) + "\n")


def _end(code: int, message: str) -> NoReturn:
    """Writes the last sentence and ends; what libraries have to say after that, nobody hears."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)  # all is settled
    fault = _find_output_fault()
    if fault is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(fault, BrokenPipeError):
            message = message or f"standard output cannot be written ({fault.strerror})"
            code = code or int(ExitCode.NOTHING_SUCCEEDED)
    with suppress(OSError):  # a terminal that was closed
        sys.stderr.write(show_controls(f"{message}\n") if message else "")
        sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """Ends the process as Python does, but where there is Ray leaves it to the system to take libraries down.

    Ray 2.60 that is ended within a second of its start aborts as it is taken down (exit code 134 in the place of 130).

    Args:
        code: Its exit code.
    """
    if "ray" not in sys.modules:
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]  # what Python itself does first: ends pools, joins threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a terminal that was closed
            stream.flush()
    os._exit(code)
