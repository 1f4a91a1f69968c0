"""The faults of one file: whoever finds one says which key it is about, and where that stands is looked up here."""

from collections.abc import Iterator

from sweeps.errors import SpecError, SpecFault
from sweeps.reader.tree import Items, KeyPath, Node, Section, find_entry, key_place, list_place, value_place

MAX_FAULTS = 500


class FaultList(list[SpecFault]):
    """The faults of a file; with too many the reading ends, so that a hopeless file takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self._distinct: set[SpecFault] = set()

    def __contains__(self, fault: object) -> bool:
        return fault in self._distinct

    def append(self, fault: SpecFault) -> None:
        """Adds a fault.

        Raises:
            SpecError: There are too many.
        """
        super().append(fault)
        self._distinct.add(fault)
        if len(self) >= MAX_FAULTS:
            raise SpecError(self, complete=False)


class Faults:
    """Collects the faults of a file, each with its place.

    Args:
        tree: The file.
        found: Gains what is wrong.
    """

    def __init__(self, tree: Section, found: list[SpecFault]) -> None:
        self._tree, self._found = tree, found

    def __iter__(self) -> Iterator[SpecFault]:
        return iter(self._found)

    def at_key(self, path: KeyPath, message: str) -> None:
        """Adds a fault of a key, or of the nearest key above it that was written."""
        self.add(key_place(self._tree, path).fault(path, message))

    def at_value(self, path: KeyPath, message: str) -> None:
        """Adds a fault of the value of a key, or of the nearest key above it that was written."""
        self.add(value_place(self._tree, path).fault(path, message))

    def at_item(self, key: str, index: int, message: str) -> None:
        """Adds a fault of an item of a list, or of the single value in its place."""
        path: KeyPath = (key, str(index)) if isinstance(self.find((key,)), Items) else (key,)
        self.add(list_place(self._tree, key, index).fault(path, message))

    def add(self, fault: SpecFault) -> None:
        """Adds a fault whose place is known; one that was found already is not said twice."""
        if fault not in self._found:
            self._found.append(fault)

    def find(self, path: KeyPath) -> Node | None:
        """What was written under a key; None where nothing was."""
        entry = find_entry(self._tree, path)
        return None if entry is None else entry.node

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest key above it that was written; None where it has none."""
        return key_place(self._tree, path).line
