import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from trainer.config.own_code import digest_own_code

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes modules into the working directory, which are forgotten when the test ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_module_is_followed_into_what_it_imports_beside_it(write: Write) -> None:
    write("own_a.py", "import json\nimport own_b\nfrom own_pack.inner import deep\n")
    write("own_b.py", "def late():\n    from own_c import x\n")
    write("own_c.py", "x = 1\n")
    write("own_pack/__init__.py", "")
    write("own_pack/inner/__init__.py", "from . import deep\nfrom .. import top\n")
    write("own_pack/inner/deep.py", "")
    write("own_pack/top.py", "")
    write("unrelated.py", "")
    found = digest_own_code(["own_a:Optimizer"])
    assert set(found) == {
        "own_a.py", "own_b.py", "own_c.py", "own_pack/__init__.py", "own_pack/inner/__init__.py",
        "own_pack/inner/deep.py", "own_pack/top.py",
    }  # fmt: skip
    assert all(len(digest) == 64 for digest in found.values())


def test_a_changed_helper_changes_its_digest_alone(write: Write) -> None:
    write("own_d.py", "import own_e\n")
    write("own_e.py", "x = 1\n")
    before = digest_own_code(["own_d:A", "own_d:B"])
    write("own_e.py", "x = 2\n")
    after = digest_own_code(["own_d:A"])
    assert before["own_d.py"] == after["own_d.py"]
    assert before["own_e.py"] != after["own_e.py"]


def test_circles_of_modules_end(write: Write) -> None:
    write("own_f.py", "import own_g\n")
    write("own_g.py", "import own_f\n")
    assert set(digest_own_code(["own_f:A"])) == {"own_f.py", "own_g.py"}


def test_of_an_installed_package_the_version_stands_for_its_files() -> None:
    assert digest_own_code(["torch.optim:NAdam"]) == {"torch": metadata.version("torch")}
    assert digest_own_code(["math:sqrt", "statistics:mean"]) == {}  # the version of Python is noted by itself


def test_our_own_packages_are_not_the_users(write: Write) -> None:
    write("own_h.py", "import trainer.api\n")
    write("trainer/api.py", "")
    assert set(digest_own_code(["own_h:A"])) == {"own_h.py"}
