"""The README's examples run as they are shown."""

import re
import sys
from pathlib import Path

import pytest
from forked import run_forked

from sweeps.spec import load_spec

README = Path(__file__).parents[2] / "README.md"


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
    done = run_forked([sys.executable, "-m", "sweeps.cli", *command.split()[2:]], cwd=tmp_path)
    assert said in done.stderr.splitlines()


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = find_block("python", "from trainer import train_model")
    small = example.replace('dataset="synthetic"', 'dataset="synthetic", train_size=200, width=0.25')
    assert small != example
    exec(compile(small, str(README), "exec"), {})
    assert re.search(r"^\['0\.\d{3}', '0\.\d{3}'\] 0\.\d{3}$", capsys.readouterr().out, re.MULTILINE)
