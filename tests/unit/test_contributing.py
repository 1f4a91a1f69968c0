"""CONTRIBUTING.md names files that are there, and the way of a learning rate is short."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_place_it_names_is_there() -> None:
    places = re.findall(r"`((?:sweeps|trainer|tracking|tests)/[\w./-]*)`", TEXT)
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_a_learning_rate_passes_twenty_files_at_most() -> None:
    steps = re.findall(r"^(\d+)\. `[\w/.]+`", TEXT, re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)]
    assert len(steps) <= 20


def test_every_folder_of_code_says_what_it_is_for() -> None:
    folders = [path for package in ("sweeps", "trainer", "tracking") for path in (ROOT / package).glob("*/__init__.py")]
    assert len(folders) == 22
    assert [path for path in folders if not path.read_text().startswith('"""')] == []
