"""`sweeps init`, with options, by questions on a terminal, and from a file of W&B."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.spec import load_spec


def init(cwd: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", "init", *arguments]
    streams = {"capture_output": True, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run(command, text=True, check=False, cwd=cwd, **streams)  # type: ignore[call-overload,no-any-return]


def test_options_decide_and_a_file_that_is_there_stays(tmp_path: Path) -> None:
    done = init(tmp_path, "--optimizer", "adam", "--optimizer", "lion", "--epochs", "3", "--trials", "4")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "sweep.yaml is written; next: sweeps plan sweep.yaml, then: sweeps run sweep.yaml\n"
    spec = load_spec(tmp_path / "sweep.yaml")
    assert list(spec.parameters["optimizer"].choices) == ["adam", "lion"]  # type: ignore[union-attr]
    assert spec.budget.trials_per_arm == 4
    again = init(tmp_path)
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    assert init(tmp_path, "--force").returncode == 0
    assert list(load_spec(tmp_path / "sweep.yaml").parameters["optimizer"].choices) == ["sgd", "momentum", "adam"]  # type: ignore[union-attr]


def test_questions_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"adam\n\n\n2\n\nrandom\n")
    done = init(tmp_path, "-", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "Optimizers to compare [sgd momentum adam]" in done.stdout
    assert "adam: {space: default}" in done.stdout
    assert "epochs: 2\n" in done.stdout
    assert "method: random" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--optimizer", "adm"), "--optimizer adm: there is none of that name; did you mean 'adam'?"),
        (("--from-wandb", "w.yaml", "--epochs", "3"), "--from-wandb takes everything from its FILE; leave the other"),
        (("--from-wandb", "w.yaml"), "w.yaml: no such file"),
        (("nowhere/x.yaml",), "nowhere/x.yaml: cannot be written (No such file or directory); name another file"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = init(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert list(tmp_path.iterdir()) == []
