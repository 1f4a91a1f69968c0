"""Reads a sweep file and lays `--set` overrides over it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sweeps.errors import SpecError, SpecFault
from sweeps.reader.text import parse_text
from sweeps.reader.tree import Entry, KeyPath, Place, Scalar, Section, describe
from trainer.tables.settings import find_nearest

MAX_FILE_BYTES = 1_000_000


def read_tree(path: Path | str, overrides: Sequence[str], faults: list[SpecFault]) -> Section:
    """The mapping of a YAML file with overrides laid over it.

    Args:
        path: The file; "-" reads standard input.
        overrides: Each `key.path=value`, the value in YAML.
        faults: Gains what is wrong within the mapping: repeated keys, tags, overrides that fit nowhere.

    Raises:
        SpecError: There is no mapping: the file cannot be read, is not YAML, or holds something else.
    """
    source = "<stdin>" if str(path) == "-" else str(path)
    text = _decode(source, sys.stdin.buffer.read() if source == "<stdin>" else _read_bytes(Path(path)))
    return parse_tree_text(text, source, overrides, faults)


def parse_tree_text(text: str, source: str, overrides: Sequence[str], faults: list[SpecFault]) -> Section:
    """The mapping that a text holds, with overrides laid over it; as `read_tree`.

    Args:
        text: In YAML.
        source: What faults call it.
        overrides: As in `read_tree`.
        faults: As in `read_tree`.

    Raises:
        SpecError: As in `read_tree`.
    """
    root = parse_text(text, source, faults)
    if isinstance(root, Section):
        return _lay_over(root, overrides, faults)
    if not faults and (root is None or (isinstance(root, Scalar) and root.empty)):
        faults.append(SpecFault(source, 1, 1, "", "the file is empty; a sweep file needs at least `parameters:`"))
    elif root is not None:
        faults.append(root.place.fault((), f"a sweep file is a mapping of `key: value` lines; found {describe(root)}"))
    raise SpecError(faults)


def _read_bytes(path: Path) -> bytes:
    """The bytes of the file; a fault that says what is there instead when it cannot be read."""
    folder = path if path.is_dir() else path.parent
    there = sorted(entry.name for entry in folder.glob("*.y*ml")) if folder.is_dir() else []
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        nearest = find_nearest(path.name, there)
        hint = _listing(folder, there) if nearest is None else f"; did you mean {str(folder / nearest)!r}?"
        raise SpecError([SpecFault(str(path), None, None, "", f"no such file{hint}")]) from None
    except IsADirectoryError:
        message = f"this is a directory; give a sweep file{_listing(folder, there)}"
        raise SpecError([SpecFault(str(path), None, None, "", message)]) from None
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
        raise SpecError([SpecFault(str(path), None, None, "", message)]) from None
    if len(content) > MAX_FILE_BYTES:
        raise SpecError([SpecFault(str(path), None, None, "", "larger than 1 MB; this is not a sweep file")])
    return content


def _listing(folder: Path, names: Sequence[str]) -> str:
    if not names:
        found = "holds no YAML file" if folder.is_dir() else "does not exist"
        return f"; the directory {str(folder)!r} {found}"
    return f"; YAML files in {str(folder)!r}: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


def _decode(source: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        found = "the file is UTF-16" if utf16 else f"the byte 0x{content[error.start]:02x} is not UTF-8"
        fault = SpecFault(source, before.count(b"\n") + 1, column, "", f"{found}; save the file as UTF-8")
        raise SpecError([fault]) from None


def _lay_over(tree: Section, overrides: Sequence[str], faults: list[SpecFault]) -> Section:
    """The tree with each override set, in order; an override may not undo an earlier one."""
    seen: list[KeyPath] = []
    for override in overrides:
        place = Place(f"--set {override}")
        key, equals, text = override.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            faults.append(place.fault((), "write it as KEY=VALUE, for example parameters.epochs=3"))
            continue
        node = parse_text(text, place.source, faults, place) if text.strip() else Scalar(place, None, empty=True)
        if node is None:
            continue
        if isinstance(node, Scalar) and node.empty:
            faults.append(place.fault(path, "has no value; write null to switch a key off"))
            continue
        undone = next((earlier for earlier in seen if earlier[: len(path)] == path), None)
        if undone is not None:
            faults.append(place.fault(path, f"undoes the earlier --set {'.'.join(undone)}=...; keep one"))
            continue
        seen.append(path)
        tree, obstacle = _set(tree, path, Entry(place, node))
        if obstacle:
            faults.append(place.fault(path, obstacle))
    return tree


def _set(section: Section, path: KeyPath, entry: Entry) -> tuple[Section, str | None]:
    """The section with one entry set and None, or the section as it was and what is in the way."""
    head, *rest = path
    if not rest:
        return replace(section, entries={**section.entries, head: entry}), None
    below = section.entries.get(head) or Entry(entry.key_place, Section(entry.key_place))
    node = below.node
    if isinstance(node, Scalar) and node.value is None:
        node = Section(node.place)
    if not isinstance(node, Section):
        return section, f"'{head}' holds {describe(node)}, so '{rest[0]}' cannot be set in it"
    inner, message = _set(node, tuple(rest), entry)
    return replace(section, entries={**section.entries, head: replace(below, node=inner)}), message
