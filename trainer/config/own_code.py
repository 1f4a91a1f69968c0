"""Which code of the user's a sweep trains with: digests of its files, so that a change of them is noticed."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from trainer.config.own_rows import import_own

_OURS = {"sweeps", "trainer", "tracking"}
_INSTALLED = {"site-packages", "dist-packages"}


def digest_own_code(names: Iterable[str]) -> dict[str, str]:
    """What the dotted paths of a sweep file run.

    A module is followed into the modules beside it that it imports by a statement; one that it imports by a name made
    at run time is not seen. Of an installed package the version stands for its files.

    Args:
        names: Each `package.module:name`.

    Returns:
        File -> SHA-256 in hexadecimal, the file as it lies in the folder of the outermost package; package -> version
        of installed ones.

    Raises:
        Exception: Whatever importing the user's code raises.
    """
    found: dict[str, str] = {}
    for module_name in sorted({name.partition(":")[0] for name in names}):
        file = getattr(import_own(module_name), "__file__", None)
        package = module_name.partition(".")[0]
        if file is None or package in sys.stdlib_module_names:
            continue
        root = _find_root(Path(file), module_name)
        if _INSTALLED & set(root.parts):
            found[package] = _find_version(package)
            continue
        for path in _follow(Path(file), root):
            found[path.relative_to(root).as_posix()] = sha256(path.read_bytes()).hexdigest()
    return found


def _find_root(file: Path, module_name: str) -> Path:
    """The folder in which the outermost package, or the module itself, lies."""
    num_folders = module_name.count(".") + (file.stem == "__init__")
    return file.parents[num_folders]


def _find_version(package: str) -> str:
    for distribution in metadata.packages_distributions().get(package, ()):
        return metadata.version(distribution)
    return "installed"


def _follow(file: Path, root: Path) -> Iterator[Path]:
    """Yields a file and all that it imports from the same folder, each once."""
    waiting, seen = [file], {file}
    while waiting:
        current = waiting.pop()
        yield current
        for name in _list_imports(current, root):
            for path in _find_files(name, root):
                if path not in seen:
                    seen.add(path)
                    waiting.append(path)


def _list_imports(file: Path, root: Path) -> Iterator[str]:
    """Yields the dotted names of modules that a file imports, and of what it takes from them, which may be modules."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # not Python: an extension
        return
    parts = file.relative_to(root).with_suffix("").parts
    package = ".".join(parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            try:
                module = importlib.util.resolve_name(base, package) if node.level else base
            except ImportError:  # more dots than there are packages
                continue
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _find_files(name: str, root: Path) -> Iterator[Path]:
    """Yields the files of a module and of the packages around it, where they lie below `root`."""
    parts = name.split(".")
    if parts[0] in _OURS or parts[0] in sys.stdlib_module_names:
        return
    for length in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:length])
        yield from (each for each in (place / "__init__.py", place.with_suffix(".py")) if each.is_file())
