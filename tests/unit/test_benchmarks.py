"""Benchmarks run seldom: what they import has to be there all the same."""

import ast
import importlib.util
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
BENCHMARKS = TESTS / "benchmarks"


def list_imported(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


@pytest.mark.parametrize("file", sorted(BENCHMARKS.glob("*.py")), ids=lambda file: file.name)
def test_what_a_benchmark_imports_is_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (TESTS, TESTS / "contract", TESTS / "tracking", TESTS / "containers", BENCHMARKS):
        monkeypatch.syspath_prepend(folder)
    missing = {name for name in list_imported(file) if importlib.util.find_spec(name) is None}
    assert not missing
