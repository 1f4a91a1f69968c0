"""The pages of docs/reference/, written from the code by `make docs`; tests/unit/test_docs.py holds them current."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from sweeps.cli.app import app
from sweeps.errors import ExitCode
from sweeps.search.methods import METHODS
from sweeps.stopping.rules import RULES
from sweeps.trials.objectives import METRICS
from trainer.config import SETTINGS, TABLES
from trainer.tables.optimizer_row import OptimizerRow
from trainer.tables.settings import Row, Setting

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
HEAD = "<!-- Written by `make docs` from the code. -->\n"
SCHEMA = Path(__file__).parents[1] / "sweeps" / "examples" / "sweep.schema.json"
Json = Mapping[str, Any]


def build_pages() -> dict[str, str]:
    """File name -> what has to stand in it."""
    pages = {"commands.md": write_commands(), "sweep-file.md": write_sweep_file(), "tables.md": write_tables()}
    return {name: HEAD + "\n".join(lines) + "\n" for name, lines in pages.items()}


def write_commands() -> Iterator[str]:
    command: Any = get_command(app)
    shown = {name: each for name, each in sorted(command.commands.items()) if not each.hidden}
    yield "# Commands\n"
    yield "`sweeps COMMAND --help` shows the same on the terminal. Without `[ID]` the latest sweep is meant.\n"
    yield "| command | does |\n|---|---|"
    for name, each in shown.items():
        yield f"| [`{name}`](#{name}) | {_cell(each.help.split(chr(10))[0])} |"
    yield "\n| before the command | |\n|---|---|"
    yield from (f"| `{_names(each)}` | {_cell(each.help or '')} |" for each in command.params if not each.hidden)
    yield "\n| exit code | means |\n|---|---|"
    yield from (f"| {code.value} | {code.meaning} |" for code in ExitCode)
    for name, each in shown.items():
        yield from write_command(name, each)


def write_command(name: str, command: Any) -> Iterator[str]:
    params = [each for each in command.params if not each.hidden]
    arguments = [each for each in params if not each.opts[0].startswith("-")]
    words = " ".join(_show_argument(each) for each in arguments)
    yield f"\n## {name}\n\n`sweeps {name} {words}`\n".replace(" `\n", "`\n")
    yield " ".join(command.help.split())
    if params:
        yield "\n| argument or option | | default |\n|---|---|---|"
    for each in params:
        default = "" if each.default in (None, False, True, "", [], ()) or callable(each.default) else each.default
        yield f"| `{_names(each)}` | {_cell(each.help or '')} | {default} |"


def _show_argument(argument: Any) -> str:
    name = argument.metavar or {"sweep_id": "ID"}.get(argument.name, argument.name.upper())
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    if not option.opts[0].startswith("-"):
        return _show_argument(option)
    names = " / ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or option.name.upper().strip('_')}"


def write_sweep_file() -> Iterator[str]:
    schema = json.loads(SCHEMA.read_text())
    definitions = schema["$defs"]
    yield "# The keys of a sweep file\n"
    yield "[The guide](../sweep-file.md) explains them. `sweeps schema` prints the JSON Schema, for an editor.\n"
    yield from _write_keys(schema["properties"], definitions)
    sections = {name: each for name, each in definitions.items() if name[0].isupper()}
    for name, each in sections.items():
        kind = each["properties"].get("type", {}).get("const")
        yield f"\n## {f'early_terminate: {kind}' if kind else _find_key(schema, name)}\n\n{each['description']}\n"
        yield from _write_keys(each["properties"], definitions)
    yield "\n## Distributions of a parameter\n\n| `distribution` | | its keys |\n|---|---|---|"
    for name, each in definitions.items():
        if each.get("properties", {}).get("distribution", {}).get("const") == name:
            keys = ", ".join(f"`{key}`" for key in each["properties"] if key != "distribution")
            yield f"| `{name}` | {_cell(each.get('description', ''))} | {keys} |"


def _find_key(schema: Json, definition: str) -> str:
    """The key of a sweep file whose content a section is."""
    at = f'"#/$defs/{definition}"'
    keys = [*schema["properties"].items(), *schema["$defs"]["Confirm"]["properties"].items()]
    return next(key for key, each in keys if at in str(each).replace("'", '"'))


def _write_keys(properties: Json, definitions: Json) -> Iterator[str]:
    yield "| key | | default |\n|---|---|---|"
    for name, each in properties.items():
        default = each.get("default")
        shown = "" if default in (None, "", [], {}) or isinstance(default, dict) else f"`{_show(default)}`"
        description = each.get("description") or definitions[each["$ref"].split("/")[-1]]["description"]
        yield f"| `{name}` | {_cell(description)}{_show_limits(each)} | {shown} |"


def _show_limits(each: Json) -> str:
    """The values that a key takes, in words, as far as its schema says so."""
    if "enum" in each:
        return f" One of {', '.join(f'`{choice}`' for choice in each['enum'])}."
    kinds = [kind for kind in (each, *each.get("anyOf", ())) if kind.get("type") in ("integer", "number")]
    words = [_show_range(kind) for kind in kinds]
    return f" {words[0]}." if words else ""


def _show_range(kind: Json) -> str:
    noun = "A whole number" if kind["type"] == "integer" else "A number"
    ends = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join([noun, *(f"{word} {kind[key]}" for key, word in ends.items() if key in kind)])


def write_tables() -> Iterator[str]:
    yield "# Tables\n"
    yield "Each row can be named in a sweep file. A new row is one entry: [CONTRIBUTING.md](../../CONTRIBUTING.md).\n"
    yield "## Settings of every trial\n\n| setting | | default |\n|---|---|---|"
    yield from (f"| `{each.name}` | {_cell(each.description)} | {_default(each)} |" for each in SETTINGS.values())
    for table, rows in TABLES.items():
        yield f"\n## {table}\n\n| name | | settings and defaults | source |\n|---|---|---|---|"
        yield from (_write_row(row) for row in rows.values())
    yield "\n## method\n\n| name | | source |\n|---|---|---|"
    yield from (
        f"| `{each.name}` | {_sentence(each.description)} | {_cell(each.source)} |" for each in METHODS.values()
    )
    yield "\n## early_terminate\n\n| type | | settings and defaults | source |\n|---|---|---|---|"
    for rule in RULES.values():
        fields = {name: each for name, each in rule.section.model_fields.items() if name != "type"}
        settings = ", ".join(f"`{name}` {_show(each.default)}" for name, each in fields.items())
        yield f"| `{rule.name}` | {_sentence(rule.description)} | {settings} | {_cell(rule.source)} |"
    yield "\n## metric\n\n| name | | direction | values |\n|---|---|---|---|"
    for metric in METRICS.values():
        yield f"| `{metric.name}` | {_sentence(metric.description)} | {metric.goal} | {metric.allowed} |"


def _write_row(row: Row) -> str:
    words = [row.description]
    if isinstance(row, OptimizerRow) and row.decoupled_weight_decay:
        words.append("Weight decay is decoupled")
    if row.aliases:
        words.append(f"Also {', '.join(f'`{alias}`' for alias in row.aliases)}")
    text = ". ".join(words)
    return f"| `{row.name}` | {_cell(text)} | {', '.join(map(_show_setting, row.settings))} | {_cell(row.source)} |"


def _show_setting(setting: Setting) -> str:
    if setting.complement_of:
        return f"or `{setting.name}`"
    return f"`{setting.name}` {_default(setting)}".rstrip()


def _default(setting: Setting) -> str:
    return "" if setting.required else _show(setting.default)


def _show(value: object) -> str:
    """A value as YAML has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(text: str) -> str:
    return _cell(text[:1].upper() + text[1:])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in build_pages().items():
        (FOLDER / name).write_text(text)
