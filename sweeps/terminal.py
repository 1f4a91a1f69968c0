"""What people see on a terminal: text as it is, whoever wrote it, never read as markup or as a command to the terminal.

Every console is a `PlainConsole`, and whatever prints asks for one. Colours are given as styles, beside the text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment

from sweeps.library_output import terminal_error

_WIDEST = 10_000  # characters of a table's line
LINE_WIDTH = 160  # of tables in a file or a pipe, where rich would take 80

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}  # of control characters
_UNSEEN = (*range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
SHOWN = _PICTURES | dict.fromkeys(_UNSEEN, 0xFFFD)  # the others: C1, line separators, marks and changes of direction


class PlainConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, no guesses at what to colour.

    Args:
        file: Where to; standard output, or standard error, when left out.
        stderr: Whether to print to standard error.
        width: Characters to a line; that of the terminal when left out.
        is_text: Whether it is no terminal, whatever the environment (`FORCE_COLOR`) says.
    """

    def __init__(
        self, file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None, is_text: bool = False
    ) -> None:
        super().__init__(
            file=file,
            stderr=stderr,
            width=width,
            markup=False,
            emoji=False,
            highlight=False,
            force_jupyter=False,  # text in a notebook too
            force_terminal=False if is_text else None,
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed: control characters as pictures of them, question marks for what the encoding lacks."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(_replace_unencodable(show_controls(segment.text), self.encoding), segment.style)

    def print_whole(self, table: RenderableType) -> None:
        """Prints a table of which nothing is cut: in a narrow terminal its lines go on in the next one."""
        # rich leaves the space behind the last column out, and then takes it from the column
        narrowest = Measurement.get(self, self.options.update(max_width=_WIDEST), table).minimum + 1
        wide = self if narrowest <= self.width else PlainConsole(self.file, width=narrowest)
        wide.print(table, crop=False)


def _replace_unencodable(text: str, encoding: str) -> str:
    """The text, as wide as it was, with question marks in the place of characters that an encoding lacks."""
    if _is_encodable(text, encoding):
        return text
    return "".join(letter if _is_encodable(letter, encoding) else "?" * cell_len(letter) for letter in text)


def _is_encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class _Stream:
    """A stream of another one's words."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Forgiving(_Stream):
    """Writes what it can: that nobody reads any more, or a disk is full, is no reason to end a sweep."""

    def write(self, text: str) -> int:
        """Writes, if that can be."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hands on what was written, if that can be."""
        with suppress(OSError):
            self._stream.flush()


class StandardOutput(_Stream):
    """Standard output that knows whether all of it was written.

    Attributes:
        fault: The first that kept something from being written; None while there is none.
    """

    fault: OSError | None = None

    def write(self, text: str) -> int:
        """Writes, as the stream does."""
        with self._noting_faults():
            return self._stream.write(text)

    def flush(self) -> None:
        """Hands on what was written."""
        with self._noting_faults():
            self._stream.flush()

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = self.fault or error
            raise


def open_console(*, stderr: bool = False) -> PlainConsole:
    """The terminal, or whatever the output goes to, which may go away: then nothing is printed, and nothing raised."""
    stream: Any = _Forgiving(terminal_error() if stderr else sys.stdout)
    console = PlainConsole(stream)
    return console if console.is_terminal else PlainConsole(stream, width=LINE_WIDTH)


def show_controls(text: str) -> str:
    """The text with a picture in the place of each character that a terminal would obey; lines and tabs stay."""
    return text.translate(SHOWN)


def write_plain(text: str) -> None:
    """Writes text to standard output at once: as it is, but for what a terminal would obey where that is one."""
    sys.stdout.write(show_controls(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
