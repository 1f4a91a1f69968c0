"""A sweep file as read: mappings, lists and values, each with its line and column."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sweeps.errors import SpecFault
from trainer.config import Value
from trainer.tables.settings import show

KeyPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where something was written: a file with line and column (1-based), or an override."""

    source: str
    line: int | None = None
    column: int | None = None

    def fault(self, path: KeyPath, message: str) -> SpecFault:
        """The fault of what was written here."""
        return SpecFault(self.source, self.line, self.column, ".".join(path), message)


@dataclass(frozen=True)
class Scalar:
    """A single value.

    Args:
        place: Where it was written.
        value: What was written.
        empty: Nothing was written, as against an explicit null.
        reported: It could not be read and that is a fault already, so nothing more should be said about it.
    """

    place: Place
    value: Value
    empty: bool = False
    reported: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True)
class Entry:
    """A key of a mapping, with where the key stands and what it holds."""

    key_place: Place
    node: "Node"


@dataclass(frozen=True)
class Section:
    """A mapping."""

    place: Place
    entries: Mapping[str, Entry] = field(default_factory=dict)


Node: TypeAlias = Scalar | Items | Section


def describe(node: Node) -> str:
    """What was found, in words."""
    match node:
        case Section():
            return "a mapping"
        case Items():
            return "a list"
        case Scalar(empty=True):
            return "nothing"
        case Scalar(value=bool() | None):
            return "null" if node.value is None else str(node.value).lower()
        case Scalar(value=str()):
            return f"the text {show(node.value)}"
    return f"the number {node.value!r}"


def count_nodes(node: Node) -> int:
    """Number of keys, values, lists and mappings, this one among them."""
    match node:
        case Section(entries=entries):
            return 1 + len(entries) + sum(count_nodes(entry.node) for entry in entries.values())
        case Items(items=items):
            return 1 + sum(map(count_nodes, items))
    return 1


def find_entry(tree: Section, path: KeyPath) -> Entry | None:
    """The entry at a key path, or None."""
    node: Node = tree
    entry = None
    for key in path:
        entry = node.entries.get(key) if isinstance(node, Section) else None
        if entry is None:
            return None
        node = entry.node
    return entry


def key_place(tree: Section, path: KeyPath) -> Place:
    """Where the key stands, or the nearest key above it that was written."""
    while path:
        entry = find_entry(tree, path)
        if entry is not None:
            return entry.key_place
        path = path[:-1]
    return tree.place


def value_place(tree: Section, path: KeyPath) -> Place:
    """Where the value of a key stands, or the nearest key above it that was written."""
    entry = find_entry(tree, path)
    return key_place(tree, path) if entry is None else entry.node.place


def list_place(tree: Section, key: str, index: int) -> Place:
    """Where an item of a list stands, or the single value in its place."""
    entry = find_entry(tree, (key,))
    if entry is not None and isinstance(entry.node, Items) and index < len(entry.node.items):
        return entry.node.items[index].place
    return value_place(tree, (key,))
