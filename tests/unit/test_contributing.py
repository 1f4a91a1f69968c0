"""CONTRIBUTING.md names files that are there, the way of a learning rate is short, and so is every function."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("sweeps", "trainer", "tracking")
MAX_LINES = 50  # of a function, with its docstring
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
    folders = [path for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py")]
    assert len(folders) == 22
    assert [path for path in folders if not path.read_text().startswith('"""')] == []


def list_functions() -> Iterator[tuple[str, int]]:
    """Each function of the packages and of the tests, and its lines."""
    for path in (path for folder in (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                yield f"{path.relative_to(ROOT)}: {node.name}", node.end_lineno - node.lineno + 1


def test_no_function_is_long() -> None:
    lengths = list(list_functions())
    assert len(lengths) > 5000
    assert [name for name, length in lengths if length > MAX_LINES] == []
