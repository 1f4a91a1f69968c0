"""What the command line itself says: its version, arguments that it does not take, errors for programs."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from forked import run_forked

from sweeps.environment import VERSION

ROOT = Path(__file__).parents[4]


def sweeps(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", *arguments]
    environment = {**os.environ, **variables}
    return run_forked(command, cwd=cwd, env=environment)


def test_the_version_is_that_of_the_package_and_of_its_citation(tmp_path: Path) -> None:
    assert sweeps("--version", cwd=tmp_path).stdout == f"sweeps {VERSION}\n"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "sweeps.environment.VERSION"}
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["validat"], "sweeps: no such command 'validat'; did you mean 'validate'; see `sweeps --help`"),
        (["plan"], "sweeps plan: missing argument 'file'; see `sweeps plan --help`"),
        (["list", "--jsn"], "sweeps list: no such option: --jsn (Possible options: --json); see `sweeps list --help`"),
        (
            ["best", "--format", "xml"],
            "sweeps best: invalid value for '--format': 'xml' is not one of 'yaml', 'python', 'json'; "
            "see `sweeps best --help`",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_one_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = sweeps(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{sentence}\n")


def test_no_argument_shows_the_help(tmp_path: Path) -> None:
    done = sweeps(cwd=tmp_path)
    assert done.returncode == 2
    assert "validate" in done.stdout
    assert done.stderr == ""


def test_an_error_is_json_for_those_who_asked_for_json(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("budget: {trials: 2}\nparameters:\n  lr: {mim: 1, max: 2}\n")
    done = sweeps("validate", "bad.yaml", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert (said["exit_code"], said["error"]) == (done.returncode, done.stderr.strip())
    (fault,) = said["faults"]
    assert (fault["line"], fault["key_path"]) == (3, "parameters.lr.mim")
    wrong_usage = sweeps("validate", "--json", cwd=tmp_path)
    assert json.loads(wrong_usage.stdout)["exit_code"] == wrong_usage.returncode == 2
    assert json.loads(sweeps("best", "--format", "json", cwd=tmp_path).stdout)["exit_code"] == 2


@pytest.mark.parametrize(
    ("words", "number", "answer"), [("sweeps va", "1", "validate"), ("sweeps best al", "2", "all-1")]
)
def test_the_shell_is_told_how_a_word_goes_on(words: str, number: str, answer: str, tmp_path: Path) -> None:
    (tmp_path / "sweep-results" / "all-1").mkdir(parents=True)
    (tmp_path / "sweep-results" / "all-1" / "journal.jsonl").touch()
    done = sweeps(cwd=tmp_path, _SWEEPS_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=number)
    assert done.stdout.split() == [answer]
    assert "--install-completion" in sweeps("--help", cwd=tmp_path).stdout


def test_a_results_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("method: grid\nparameters: {dataset: synthetic, lr: {values: [0.1, 0.2]}}\n")
    (tmp_path / "file").touch()
    done = sweeps("run", "sweep.yaml", cwd=tmp_path, SWEEPS_HOME=str(tmp_path / "file"))
    assert done.returncode == 2
    assert done.stderr == f"{tmp_path / 'file'}: results cannot be written (File exists); set SWEEPS_HOME elsewhere\n"
