"""Every error a user can meet, each with the exit code of the command that ends with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the `sweeps` command."""

    DONE = 0
    NOTHING_SUCCEEDED = 1
    BAD_USAGE = 2
    SOME_TRIALS_FAILED = 3
    UNREACHABLE = 4
    DIFFERS = 5
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What a command that ends so has to say, in words."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.NOTHING_SUCCEEDED: "no trial succeeded, or the command failed",
    ExitCode.BAD_USAGE: "the file, an argument or the request cannot be carried out as it is; nothing was changed",
    ExitCode.SOME_TRIALS_FAILED: "done, but some trials failed",
    ExitCode.UNREACHABLE: "Ray or MLflow cannot be reached; nothing is lost",
    ExitCode.DIFFERS: "a replayed trial differs from its record",
    ExitCode.INTERRUPTED: "interrupted; the command that resumes it is printed",
}


class SweepError(Exception):
    """Base of all errors that are shown to the user as their message, without a traceback."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOTHING_SUCCEEDED


class NothingSucceeded(SweepError):
    """No trial of the sweep succeeded, so there is no result."""


class BadUsage(SweepError):
    """What was asked for cannot be done as it was asked: a wrong argument, an unknown sweep, impossible resources."""

    exit_code = ExitCode.BAD_USAGE


class SomeTrialsFailed(SweepError):
    """The sweep has a result, but some of its trials failed."""

    exit_code = ExitCode.SOME_TRIALS_FAILED


class Unreachable(SweepError):
    """Ray or MLflow is out of reach."""

    exit_code = ExitCode.UNREACHABLE


class Interrupted(SweepError):
    """The user stopped the sweep; the message says how to resume it."""

    exit_code = ExitCode.INTERRUPTED


def first_line(error: BaseException) -> str:
    """What a library's error says, as far as it fits into a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0][:300].rstrip(". ")


MAX_FAULTS_SHOWN = 50
_MAX_PATH_CHARACTERS = 300  # of a fault, as it is shown
_MAX_MESSAGE_CHARACTERS = 2_000


@dataclass(frozen=True)
class SpecFault:
    """One fault of a sweep file or of an override.

    Args:
        source: The file as the user wrote it, `<stdin>`, or `--set key=value` as it was given.
        line: 1-based; None when the fault has no place in a file.
        column: 1-based; None when the fault has no place in a file.
        key_path: Dotted path of the key, for example `parameters.lr.min`; empty for the file as a whole.
        message: What was found, what is allowed, what to do.
    """

    source: str
    line: int | None
    column: int | None
    key_path: str
    message: str

    def __str__(self) -> str:
        source = _clip(self.source, _MAX_PATH_CHARACTERS)
        place = source if self.line is None else f"{source}:{self.line}:{self.column}"
        override_key = self.source.removeprefix("--set ").partition("=")[0]
        said_already = self.line is None and override_key == self.key_path
        shown_path = "" if said_already or not self.key_path else f"{_clip(self.key_path, _MAX_PATH_CHARACTERS)}: "
        return f"{place}: {shown_path}{_clip(self.message, _MAX_MESSAGE_CHARACTERS)}"


def _clip(text: str, num_characters: int) -> str:
    return text if len(text) <= num_characters else f"{text[:num_characters]}..."


class SpecError(BadUsage):
    """A sweep file or an override is at fault; carries every fault, those of the file first, by line.

    Args:
        faults: What is wrong.
        complete: Whether these are all; False where there were so many that the reading stopped.
    """

    def __init__(self, faults: Iterable[SpecFault], *, complete: bool = True) -> None:
        distinct = dict.fromkeys(faults)
        self.faults: tuple[SpecFault, ...] = tuple(
            sorted(distinct, key=lambda fault: (fault.line is None, fault.line or 0, fault.column or 0))
        )
        self.complete = complete
        super().__init__(self.faults)

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults[:MAX_FAULTS_SHOWN]]
        num_others = len(self.faults) - len(lines)
        if num_others or not self.complete:
            lines.append(
                f"and {num_others} more{'' if self.complete else ', with which reading stopped'}; mend these first"
            )
        return "\n".join(lines)
