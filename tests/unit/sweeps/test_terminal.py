import io

import pytest
from rich.table import Table
from rich.text import Text

from sweeps.terminal import PlainConsole, write_plain

HOSTILE = [
    "[/x]",
    "[bold]b[/bold]",
    "it's",
    '"',
    "50%",
    "a\\[b",
    "../..",
    "a|b",
    "実験 🎉",
    ":smile:",
    "[link=http://x]y[/link]",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_printed_as_it_is_wherever_it_stands(text: str) -> None:
    console = PlainConsole(io.StringIO(), width=100)
    table = Table(text, title=f"title {text}", caption=f"caption {text}")
    table.add_row(f"cell {text}")
    console.print(text)
    console.print(text, style="red")
    console.print(table)

    file = console.file
    assert isinstance(file, io.StringIO)
    assert file.getvalue().splitlines()[:2] == [text, text]
    for place in ("title", "caption", "cell"):
        assert f"{place} {text}" in file.getvalue()
    assert file.getvalue().count(text) == 6  # the column's header is the sixth


@pytest.mark.parametrize("wrap", [str, Text])
def test_a_text_gives_the_terminal_no_commands(wrap: type[str] | type[Text]) -> None:
    console = PlainConsole(io.StringIO())
    console.print(wrap("a\x1b]0;title\x1b\\ b\x9b2J c\x07\r\x00\x7f \u202e\u2028\u200f\u200e\u061c"))
    file = console.file
    assert isinstance(file, io.StringIO)
    shown = file.getvalue()
    assert shown.startswith("a␛]0;title␛\\ b�2J c")
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [
        ("ascii", ["? 3 ??", "+------+", "| ???? |", "|------|", "| ??   |", "+------+"]),
        ("cp1252", ["× 3 ??", "+------+", "| ???? |", "|------|", "| é?   |", "+------+"]),
        ("utf-8", ["× 3 🎉", "┏━━━━━━┓", "┃ 実験 ┃", "┡━━━━━━┩", "│ é?   │", "└──────┘"]),
    ],
)
def test_what_the_terminals_encoding_lacks_is_replaced_and_columns_stay(encoding: str, lines: list[str]) -> None:
    written = io.BytesIO()
    console = PlainConsole(io.TextIOWrapper(written, encoding=encoding))
    table = Table("実験")
    table.add_row("é\udcff")
    console.print("× 3 🎉")
    console.print(table)
    assert written.getvalue().decode(encoding).splitlines() == lines


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, "a␛[31m�\n"), (False, "a\x1b[31m\u202e\n")])
def test_only_a_terminal_gets_pictures_of_what_it_would_obey(
    is_terminal: bool, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = io.StringIO()
    monkeypatch.setattr(output, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stdout", output)
    write_plain("a\x1b[31m\u202e\n")
    assert output.getvalue() == shown
