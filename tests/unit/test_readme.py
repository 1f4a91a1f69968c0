"""The README's tables and commands are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from sweeps.cli.app import app
from sweeps.spec import load_spec
from sweeps.stopping.rules import RULES
from trainer.config import SETTINGS, TABLES
from trainer.tables.optimizer_row import OptimizerRow
from trainer.tables.settings import Row, Setting

README = Path(__file__).parents[2] / "README.md"


def test_the_tables_are_those_of_the_code() -> None:
    found = re.search(r"<!-- tables: [^>]*-->\n(.*?)<!-- /tables -->", README.read_text(), re.DOTALL)
    assert found
    assert found[1] == build_tables()


def find_block(language: str, beginning: str) -> str:
    """The code block of the README that begins so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return str(block)


def test_the_sweep_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(find_block("yaml", "name: optimizers"))
    assert load_spec(tmp_path / "sweep.yaml").budget.trials_per_arm == 25


def test_the_fault_is_told_as_shown(tmp_path: Path) -> None:
    command, said = find_block("console", "$ sweeps validate bad.yaml").splitlines()
    (tmp_path / "bad.yaml").write_text("budget: {trials: 2}\nparameters:\n  lr: {mim: 1e-3, max: 2}\n")
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.cli", *command.split()[2:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert said in done.stderr.splitlines()


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = find_block("python", "from trainer import train_model")
    small = example.replace('dataset="synthetic"', 'dataset="synthetic", train_size=200, width=0.25')
    assert small != example
    exec(compile(small, str(README), "exec"), {})
    assert re.search(r"^\['0\.\d{3}', '0\.\d{3}'\] 0\.\d{3}$", capsys.readouterr().out, re.MULTILINE)


def build_tables() -> str:
    """What has to stand between the two comments of the README."""
    lines = ["Settings of every trial, with their defaults:", "", ", ".join(map(show_setting, SETTINGS.values())) + "."]
    for table, rows in TABLES.items():
        lines += ["", f"| {table} | settings and defaults | |", "|---|---|---|", *map(show_row, rows.values())]
    return "\n".join(lines) + "\n"


def build_rule_table() -> str:
    """What has to stand between the two comments about early stopping."""
    lines = ["| type | settings and defaults | | source |", "|---|---|---|---|"]
    for row in RULES.values():
        fields = {name: field for name, field in row.section.model_fields.items() if name != "type"}
        settings = ", ".join(
            f"`{name}` {'null' if field.default is None else str(field.default).lower()}"
            for name, field in fields.items()
        )
        lines.append(f"| `{row.name}` | {settings} | {row.description} | {row.source} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_rules_is_that_of_the_code() -> None:
    found = re.search(r"<!-- rules -->\n(.*?)<!-- /rules -->", README.read_text(), re.DOTALL)
    assert found
    assert found[1] == build_rule_table()


def show_row(row: Row) -> str:
    words = [row.description]
    if isinstance(row, OptimizerRow) and row.decoupled_weight_decay:
        words.append("weight decay is decoupled")
    if row.aliases:
        words.append(f"also {', '.join(f'`{alias}`' for alias in row.aliases)}")
    return f"| `{row.name}` | {', '.join(map(show_setting, row.settings))} | {'; '.join(words)} |"


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
