"""What people see on a terminal: text as it is, whoever wrote it, never read as markup or as a command to the terminal.

Every console is a `PlainConsole`, and whatever prints asks for one. Colours are given as styles, beside the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

LINE_WIDTH = 160  # of tables in a file or a pipe, where rich would take 80

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}  # of control characters
_UNSEEN = (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
SHOWN = _PICTURES | dict.fromkeys(_UNSEEN, 0xFFFD)  # the others: C1, line separators, changes of direction


class PlainConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, no guesses at what to colour.

    Args:
        file: Where to; standard output, or standard error, when left out.
        stderr: Whether to print to standard error.
        width: Characters to a line; that of the terminal when left out.
    """

    def __init__(self, file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed, control characters of a text as pictures of them."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(show_controls(segment.text), segment.style)


def open_console(*, stderr: bool = False) -> PlainConsole:
    """The terminal, or whatever the output goes to."""
    console = PlainConsole(stderr=stderr)
    return console if console.is_terminal else PlainConsole(stderr=stderr, width=LINE_WIDTH)


def show_controls(text: str) -> str:
    """The text with a picture in the place of each character that a terminal would obey; lines and tabs stay."""
    return text.translate(SHOWN)
