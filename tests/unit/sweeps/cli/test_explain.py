"""`sweeps explain`, on the command line."""

import json
import subprocess
import sys

import pytest
from forked import run_forked

from sweeps.spec.catalogue import Topic


def explain(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", "explain", *arguments]
    return run_forked(command)


def test_without_a_name_it_lists_the_tables() -> None:
    lines = explain().stdout.splitlines()
    assert [line.split(":")[0] for line in lines if ": " in line and line.split(":")[0] in tuple(Topic)] == [*Topic]


def test_a_row_is_shown_with_settings_source_and_example() -> None:
    said = explain("rules", "asha").stdout
    for part in ("Li et al. 2020", "min_iter", "a whole number from 1", "early_terminate: {type: asha}"):
        assert part in said


def test_for_programs() -> None:
    (row,) = json.loads(explain("schedules", "step", "--json").stdout)
    assert row["settings"][0] == {
        "name": "step_epochs",
        "description": "Epochs between two reductions",
        "allowed": "a whole number from 1",
        "default": None,
        "required": True,
        "unit": "epochs",
    }
    assert len(json.loads(explain("losses", "--json").stdout)) == 4
    assert set(json.loads(explain("--json").stdout)) == set(Topic)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("adm",), "no table or row 'adm'; did you mean 'adam'?"),
        (("optimizer", "adam"), "no table 'optimizer'; did you mean 'optimizers'?"),
        (("losses", "xyz"), "losses have no 'xyz'; see `sweeps explain losses`"),
    ],
)
def test_a_wrong_name_is_told_the_nearest(arguments: tuple[str, ...], sentence: str) -> None:
    done = explain(*arguments)
    assert (done.returncode, done.stderr) == (2, f"{sentence}\n")
