"""Reads a sweep file and lays `--set` overrides over it."""

import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sweeps.errors import SpecError, SpecFault
from sweeps.reader.limits import MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES, MAX_OVERRIDES
from sweeps.reader.text import parse_text
from sweeps.reader.tree import Entry, KeyPath, Node, Place, Scalar, Section, count_nodes, describe
from trainer.tables.settings import find_nearest

_MAX_LISTED = 1_000  # files of a folder that a wrong name is compared with


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
    text = _decode(source, _read_stdin() if source == "<stdin>" else _read_bytes(Path(path)))
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
    elif root is not None and not (isinstance(root, Scalar) and root.reported):
        faults.append(root.place.fault((), f"a sweep file is a mapping of `key: value` lines; found {describe(root)}"))
    raise SpecError(faults)


def _read_stdin() -> bytes:
    return _refuse_large("<stdin>", sys.stdin.buffer.read(MAX_FILE_BYTES + 1))


def _read_bytes(path: Path) -> bytes:
    """The bytes of the file; a fault that says what is there instead when it cannot be read."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            message = f"this is a directory; give a sweep file{_listing(path, _list_yaml(path))}"
        elif not stat.S_ISREG(kind):
            message = "this is no file but a pipe or a device; to read from one, write - and redirect it (`< FILE`)"
        else:
            with path.open("rb") as stream:
                return _refuse_large(str(path), stream.read(MAX_FILE_BYTES + 1))
    except FileNotFoundError:
        folder = path.parent
        there = _list_yaml(folder)
        nearest = find_nearest(path.name, there)
        hint = _listing(folder, there) if nearest is None else f"; did you mean {str(folder / nearest)!r}?"
        message = f"no such file{hint}"
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
    except ValueError as error:
        message = f"the file cannot be read: {error}"
    raise SpecError([SpecFault(str(path), None, None, "", message)])


def _refuse_large(source: str, content: bytes) -> bytes:
    if len(content) > MAX_FILE_BYTES:
        message = f"larger than {MAX_FILE_BYTES // 1000} kB; this is not a sweep file"
        raise SpecError([SpecFault(source, None, None, "", message)])
    return content


def _list_yaml(folder: Path) -> list[str]:
    """The YAML files of a folder, which need not be there; of a huge one some."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in islice(folder.iterdir(), _MAX_LISTED) if entry.suffix in (".yaml", ".yml"))


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
    if len(overrides) > MAX_OVERRIDES:
        faults.append(
            Place("--set").fault((), f"given {len(overrides):,} times; allowed: {MAX_OVERRIDES}; write a file")
        )
        return tree
    seen: list[KeyPath] = []
    left = MAX_NODES - count_nodes(tree)
    for override in overrides:
        place = Place(f"--set {override}")
        key, equals, text = override.partition("=")
        path = _split_key(key)
        if not equals or not all(path):
            faults.append(place.fault((), "write it as KEY=VALUE, for example parameters.epochs=3"))
            continue
        if len(path) > MAX_DEPTH:
            faults.append(place.fault((), f"more than {MAX_DEPTH} keys below each other; write fewer"))
            continue
        node = _parse_value(text, place, faults, left)
        if node is None:
            continue
        left -= count_nodes(node)
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


def _split_key(key: str) -> KeyPath:
    """The keys between the dots; a key in double quotes, such as a dotted path to the user's code, may hold some."""
    parts = key.split('"')  # every second one stood in quotes
    split = "".join(part if index % 2 else part.replace(".", "\0") for index, part in enumerate(parts))
    return tuple(part.strip() for part in split.split("\0"))


def _parse_value(text: str, place: Place, faults: list[SpecFault], max_nodes: int) -> Node | None:
    if len(text.encode("utf-8", "replace")) > MAX_FILE_BYTES:
        faults.append(place.fault((), f"larger than {MAX_FILE_BYTES // 1000} kB; write a file"))
        return None
    return parse_text(text, place.source, faults, place, max_nodes) if text.strip() else Scalar(place, None, empty=True)


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
