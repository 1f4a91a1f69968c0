"""The README's tables and commands are those of the code."""

import re
from pathlib import Path

from typer.main import get_command

from sweeps.cli import app
from trainer.config import SETTINGS, TABLES
from trainer.settings import Row, Setting

README = Path(__file__).parents[2] / "README.md"


def test_the_tables_are_those_of_the_code() -> None:
    found = re.search(r"<!-- tables: [^>]*-->\n(.*?)<!-- /tables -->", README.read_text(), re.DOTALL)
    assert found
    assert found[1] == build_tables()


def build_tables() -> str:
    """What has to stand between the two comments of the README."""
    lines = ["Settings of every trial, with their defaults:", "", ", ".join(map(show_setting, SETTINGS.values())) + "."]
    for table, rows in TABLES.items():
        lines += ["", f"| {table} | settings and defaults | |", "|---|---|---|", *map(show_row, rows.values())]
    return "\n".join(lines) + "\n"


def show_row(row: Row) -> str:
    return f"| `{row.name}` | {', '.join(map(show_setting, row.settings))} | {row.description} |"


def show_setting(setting: Setting) -> str:
    if setting.complement_of:
        return f"or `{setting.name}`"
    default = "null" if setting.default is None else str(setting.default).lower()
    return f"`{setting.name}`" if setting.required else f"`{setting.name}` {default}"


def test_every_command_stands_in_the_readme() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    text = README.read_text()
    for name in commands:
        assert f"| `{name}" in text, name
