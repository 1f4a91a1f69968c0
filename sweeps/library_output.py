"""What libraries print, log and warn of while a command runs: in a file, never on the terminal.

Ray's C++ code writes to file descriptor 2, MLflow's and Optuna's loggers have handlers of their own, urllib3 and
Alembic log by Python's last resort, tqdm draws bars: all of it goes to standard error, which is a file while this is
open. What the command itself has to say goes to `terminal_error()`.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_PASSWORD = re.compile(r"(://[^/@:\s]*):[^@\s]*@")
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "RAY_AUTH_TOKEN")
_STANDARD_ERROR = 2


class LibraryOutput:
    """Standard error as a file, from `open` to `close`.

    Attributes:
        terminal: What standard error was before.
        path: Where what is written goes; None while that is a temporary file.
    """

    def __init__(self) -> None:
        self.terminal: TextIO = sys.stderr
        self.path: Path | None = None
        self._terminal_fd: int | None = None
        self._handler: logging.Handler | None = None

    @property
    def is_open(self) -> bool:
        """Whether standard error is a file now."""
        return self._handler is not None

    def open(self) -> None:
        """Takes standard error away from the terminal."""
        self.terminal = sys.stderr
        self.terminal.flush()
        self._terminal_fd = os.dup(_STANDARD_ERROR)
        if _has_descriptor(self.terminal, _STANDARD_ERROR):
            descriptor, encoding = os.dup(_STANDARD_ERROR), sys.stderr.encoding
            self.terminal = os.fdopen(descriptor, "w", buffering=1, encoding=encoding, errors="backslashreplace")
        _point_at(_open_temporary())
        sys.stderr = io.TextIOWrapper(_Forgiving(), encoding="utf-8", errors="backslashreplace", write_through=True)
        self._handler = logging.StreamHandler(sys.stderr)
        self._handler.setFormatter(logging.Formatter(_FORMAT))
        logging.getLogger().addHandler(self._handler)
        logging.captureWarnings(True)

    def close(self) -> None:
        """Gives standard error back."""
        if self._handler is None or self._terminal_fd is None:
            return
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(self._handler)
        sys.stderr = self.terminal
        _point_at(self._terminal_fd)
        self._handler = self._terminal_fd = None

    def keep(self, path: Path) -> None:
        """Has all that was written so far, and what will be, stand in a file; as before where the disk refuses that."""
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(OSError):
                os.write(descriptor, _read_all(_STANDARD_ERROR))
            _point_at(descriptor)
            self.path = path


class _Forgiving(io.RawIOBase):
    """Standard error for libraries: a disk that is full is no reason for them to fail; secrets are left out."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return _STANDARD_ERROR

    def write(self, data: bytes) -> int:  # type: ignore[override]  # of all that a buffer can be, text streams write bytes
        with suppress(OSError):
            os.write(_STANDARD_ERROR, _hide_secrets(bytes(data).decode(errors="backslashreplace")).encode())
        return len(data)


_output = LibraryOutput()  # a process has one standard error


@contextmanager
def library_output_in_file() -> Iterator[None]:
    """Keeps what libraries print off the terminal while it is open."""
    _output.open()
    try:
        yield
    finally:
        _output.close()


def keep_library_output(path: Path) -> None:
    """Has what libraries print stand in a file from now on, if it is kept off the terminal at all."""
    if _output.is_open:
        _output.keep(path)


def terminal_error() -> TextIO:
    """Standard error as the user sees it."""
    return _output.terminal if _output.is_open else sys.stderr


def keep_traceback(error: BaseException, folder: Path) -> Path | None:
    """Writes the traceback of an error behind what libraries have printed, or into a new file of `folder`.

    Returns:
        The file; None when no disk takes it.
    """
    text = _hide_secrets("".join(traceback.format_exception(error)))
    known = [_output.path] if _output.path is not None and _output.path.exists() else []
    said = _read_all(_STANDARD_ERROR) if _output.is_open and not known else b""
    new = [place / f"sweeps-error-{os.getpid()}.log" for place in (folder, Path(tempfile.gettempdir()))]
    for path in (*known, *new):
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(said + text.encode(errors="backslashreplace"))
            return path
    return None


def _hide_secrets(text: str) -> str:
    for name in _SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return _PASSWORD.sub(r"\1:***@", text)


def _has_descriptor(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except OSError:  # a test's stream, which is in memory
        return False


def _open_temporary() -> int:
    """A file without a name, or nowhere if there is no room for one."""
    try:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    except OSError:
        return os.open(os.devnull, os.O_RDWR)


def _point_at(descriptor: int) -> None:
    os.dup2(descriptor, _STANDARD_ERROR)
    os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    """What a file holds that was written through this descriptor."""
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    except OSError:  # nothing to be read
        return b""
