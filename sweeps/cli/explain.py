"""The command that shows what a sweep file can name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.options import Json
from sweeps.cli.printing import print_json
from sweeps.errors import BadUsage
from sweeps.spec.catalogue import Entry, Topic, find_entries, list_entries, list_names
from trainer.tables.settings import Setting, did_you_mean

if TYPE_CHECKING:
    from sweeps.terminal import PlainConsole

_TOPICS = tuple(str(topic) for topic in Topic)


def add_commands(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command()(explain)


def _complete(incomplete: str) -> list[str]:
    return [name for name in (*_TOPICS, *list_names()) if name.startswith(incomplete)]


def explain(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE",
            help=f"{', '.join(_TOPICS)}; or at once the name of a row.",
            show_default=False,
            autocompletion=_complete,
        ),
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A row of the table.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Explain what a sweep file can name: a table, or one row with its settings, source and a sweep file."""
    from sweeps.terminal import open_console

    console = open_console()
    if topic is None:
        _show_topics(console, as_json=as_json)
    elif topic in _TOPICS and name is None:
        _show_table(console, Topic(topic), as_json=as_json)
    else:
        entries = _find(topic, name)
        if as_json:
            print_json([_describe(entry) for entry in entries])
            return
        for index, entry in enumerate(entries):
            _show_entry(console, entry, is_first=index == 0)


def _find(topic: str, name: str | None) -> tuple[Entry, ...]:
    """The rows that are asked for; one name may stand in several tables.

    Raises:
        BadUsage: There is none.
    """
    if name is None:
        found, known = find_entries(topic), [*_TOPICS, *list_names()]
        where = f"no table or row {topic!r}"
    elif topic not in _TOPICS:
        raise BadUsage(f"no table {topic!r}; {did_you_mean(topic, _TOPICS) or 'there are ' + ', '.join(_TOPICS)}")
    else:
        entries = list_entries(Topic(topic))
        found = tuple(entry for entry in entries if name in (entry.name, *entry.aliases))
        known = [each for entry in entries for each in (entry.name, *entry.aliases)]
        where = f"{topic} have no {name!r}"
    if found:
        return found
    wanted = name or topic
    raise BadUsage(f"{where}; {did_you_mean(wanted, known) or 'see `sweeps explain ' + (topic if name else '') + '`'}")


def _show_topics(console: PlainConsole, *, as_json: bool) -> None:
    names = {topic: [entry.name for entry in list_entries(topic)] for topic in Topic}
    if as_json:
        print_json(names)
        return
    for topic, rows in names.items():
        console.print(f"{topic}: {', '.join(rows)}")
    console.print("`sweeps explain TABLE` has a line for each; `sweeps explain NAME` all of one, with an example")


def _show_table(console: PlainConsole, topic: Topic, *, as_json: bool) -> None:
    from rich.table import Table

    entries = list_entries(topic)
    if as_json:
        print_json([_describe(entry) for entry in entries])
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for entry in entries:
        table.add_row(entry.name, entry.description)
    console.print(table)


def _describe(entry: Entry) -> dict[str, Any]:
    """A row for programs."""
    settings = [
        {
            "name": each.name,
            "description": each.description,
            "allowed": each.allowed,
            "default": each.default,
            "required": each.required,
            "unit": each.unit,
        }
        for each in entry.settings
    ]
    return {
        "table": entry.topic,
        "name": entry.name,
        "description": entry.description,
        "source": entry.source,
        "aliases": list(entry.aliases),
        "facts": list(entry.facts),
        "settings": settings,
        "example": entry.example,
    }


def _show_entry(console: PlainConsole, entry: Entry, *, is_first: bool) -> None:
    if not is_first:
        console.print()
    console.print(f"{entry.name} ({entry.topic}): {_sentence(entry.description)}")
    for fact in entry.facts:
        console.print(_sentence(fact))
    if entry.aliases:
        console.print(f"Also called {', '.join(entry.aliases)}.")
    if entry.source:
        console.print(f"Source: {entry.source}")
    if entry.settings:
        console.print()
        _show_settings(console, entry.settings)
    console.print("\nAn example, a whole sweep file:\n")
    console.print(entry.example.rstrip(), soft_wrap=True)


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."


def _show_settings(console: PlainConsole, settings: Sequence[Setting]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("allowed")
    table.add_column("")
    for each in settings:
        table.add_row(each.name, _show_default(each), each.allowed, each.description)
    console.print(table)


def _show_default(setting: Setting) -> str:
    from sweeps.spec.catalogue import write_flow

    if setting.complement_of:
        return f"1 - {setting.complement_of}"
    return "" if setting.required else write_flow(setting.default)
