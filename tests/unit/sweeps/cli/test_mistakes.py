"""Mistakes that people make, each with the message that it gets: place, what was found, what to do, and no traceback.

`mistakes.txt` has, for each, the sweep file (where there is one), the command, and the beginning of each line of the
message. TMP stands for the working directory.
"""

import os
import re
import shlex
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from sweeps.cli.app import app
from sweeps.errors import SweepError

GOOD = "method: grid\nparameters: {lr: {values: [0.1, 0.2]}}\n"
SECONDS = 2.0  # of the processor
# What a message tells one to do, or the values among which to choose.
REMEDY = re.compile(
    r"did you mean|allowed: |write |give |see `|keep one|say |name |start one|end it|swap |find|add it|remove|use |"
    r"choose|needs at least|the latest|lists|set |close it|YAML files in|stands in quotes|correct |it has|would mean|"
    r"excludes|models that have|that have it|make it|runs it once|is a mapping of"
)


class Mistake(NamedTuple):
    file: str
    command: str
    lines: list[str]


def read_mistakes() -> list[Mistake]:
    text = (Path(__file__).parent / "mistakes.txt").read_text().strip("\n")
    mistakes = []
    for block in text.split("\n\n"):
        file, _, rest = f"\n{block}".partition("\n$ sweeps ")
        command, *lines = rest.split("\n=> ")
        mistakes.append(Mistake(file.lstrip("\n") + "\n" if file.strip() else "", command, lines))
    return mistakes


MISTAKES = read_mistakes()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a sweep file and no sweep."""
    monkeypatch.chdir(tmp_path)
    for name in ("SWEEPS_HOME", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def find_message(command: str) -> str:
    with pytest.raises(SweepError) as caught:
        app(shlex.split(command))
    return str(caught.value)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: f"{each.file[-60:]} {each.command}".strip())
def test_a_mistake_gets_its_message(mistake: Mistake, place: Path) -> None:
    (place / "sweep.yaml").write_text(mistake.file or GOOD)
    began = time.process_time()
    message = find_message(mistake.command)
    assert time.process_time() - began < SECONDS
    lines = message.replace(os.fspath(place), "TMP").splitlines()
    assert lines == mistake.lines
    assert REMEDY.search(message), message
    assert "Traceback" not in message
    if mistake.file:
        assert all(re.match(r"sweep\.yaml:\d+:\d+: ", line) for line in lines)


def test_there_are_many() -> None:
    assert len(MISTAKES) >= 60
    assert len(MISTAKES) == len(set(map(str, MISTAKES)))
