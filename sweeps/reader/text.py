"""YAML 1.2 text to a tree with positions, and plain values to YAML text; knows nothing of sweeps."""

import math
from collections.abc import Mapping
from functools import partial
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError, MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.representer import SafeRepresenter

from sweeps.errors import SpecFault
from sweeps.reader.limits import MAX_DEPTH, MAX_KEY_CHARACTERS, MAX_NODES, UNSTORABLE
from sweeps.reader.tree import Entry, Items, KeyPath, Node, Place, Scalar, Section, describe
from trainer.tables.settings import show

LARGEST_NUMBER = 2**63 - 1
CORE_TAGS = ("null", "bool", "int", "float", "str", "timestamp", "value")  # the last two are text in YAML 1.2


_OTHER_VERSION = "the directive %YAML says another version than 1.2, which sweep files are written in; remove it"


class _Composer(Composer):
    """Ruamel's, which stops where there are too many nodes."""

    def __init__(self, max_nodes: int, loader: Any = None) -> None:
        super().__init__(loader)
        self._num_nodes, self._max_nodes = 0, max_nodes
        self.warn_double_anchors = False  # the last one counts

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._num_nodes += 1
        if self._num_nodes > self._max_nodes:
            raise ComposerError(None, None, _too_large(self._max_nodes), self.parser.peek_event().start_mark)
        return super().compose_node(parent, index)

    def compose_document(self) -> Any:
        start = self.parser.peek_event()
        if start.version not in (None, (1, 2)):
            raise ComposerError(None, None, _OTHER_VERSION, start.start_mark)
        return super().compose_document()


def parse_text(
    text: str, source: str, faults: list[SpecFault], place: Place | None = None, max_nodes: int = MAX_NODES
) -> Node | None:
    """The node that the text holds; None when it holds none or is not YAML, which adds a fault.

    Args:
        text: YAML.
        source: What faults name.
        faults: Gains what is wrong.
        place: Where everything in the text counts as written; None means its own line and column.
        max_nodes: What the text may hold.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = partial(_Composer, max_nodes)  # type: ignore[assignment]  # called with the loader alone
    yaml.max_depth = MAX_DEPTH
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        faults.append((place or Place(source, line, column)).fault((), _syntax_sentence(error, text, line, column)))
        return None
    except ReaderError as error:
        before = text[: error.position]
        at = place or Place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
        faults.append(at.fault((), f"the character {chr(error.character)!r} is not allowed in YAML; remove it"))
        return None
    except LookupError:  # of a version in a directive further down, which counts as soon as it is scanned
        line = text[: text.find("\n%YAML") + 1].count("\n") + 1
        faults.append((place or Place(source, line, 1)).fault((), _OTHER_VERSION))
        return None
    except YAMLError as error:
        faults.append((place or Place(source, 1, 1)).fault((), f"not valid YAML: {' '.join(str(error).split())}"))
        return None
    if node is None:
        return None
    rest = text[node.end_mark.index :].strip()
    if place is not None and "\n" not in text and rest:
        faults.append(place.fault((), f"{show(rest)} would be read as a comment; put the value in quotes"))
        return None
    return _Converter(source, faults, place, max_nodes).convert(node, ())


def _syntax_sentence(error: MarkedYAMLError, text: str, line: int, column: int) -> str:
    """What is wrong with the YAML, in words that do not presume knowledge of a YAML scanner."""
    if isinstance(error, MaxDepthExceededError):
        return f"more than {MAX_DEPTH} lists and mappings within each other; that is too many for a sweep file"
    problem = error.problem or str(error)
    if problem.startswith((_TOO_LARGE, _OTHER_VERSION)):
        return problem
    if "incompatible YAML document" in problem:
        return _OTHER_VERSION
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    if "\\t" in problem or here[column - 1 : column] == "\t" or here[:column].lstrip(" ").startswith("\t"):
        return "a tab cannot indent YAML; use spaces"
    if "mapping values are not allowed" in problem:
        return "a ': ' is not allowed here; check the indentation of this line and the one above, or quote the text"
    if "found undefined alias" in problem:
        return f"{problem.replace('found undefined alias', 'there is no anchor')} above this line"
    if "expected a single document" in (error.context or "") or "but found another document" in problem:
        return "a second YAML document begins here; a sweep file holds one"
    if "could not find expected ':'" in problem:
        return "a ':' is missing after the key on this line or the one above"
    if "found unexpected end of stream" in problem or problem.startswith("expected ',' or"):
        opened = f", opened in line {error.context_mark.line + 1}," if error.context_mark and "\n" in text else ""
        return f"a quote or bracket{opened} is not closed; close it"
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML: {problem}{context}"


_TOO_LARGE = "too many keys and values"


def _too_large(max_nodes: int) -> str:
    return f"{_TOO_LARGE}; allowed: {max_nodes:,}; shorten it"


class _Converter:
    """Turns ruamel's nodes into ours; a node that is reached through several aliases is converted once."""

    def __init__(self, source: str, faults: list[SpecFault], place: Place | None, max_nodes: int) -> None:
        self._yaml = YAML(typ="safe", pure=True)
        self._source, self._faults, self._fixed_place = source, faults, place
        self._max_nodes, self._num_merged = max_nodes, 0
        self._done: dict[int, Node] = {}
        self._sizes: dict[int, int] = {}  # of each node that was made, with all that is reached from it
        self._open: set[int] = set()

    def convert(self, node: Any, path: KeyPath) -> Node:
        place = self._fixed_place or Place(self._source, node.start_mark.line + 1, node.start_mark.column + 1)
        if id(node) in self._open:
            self._faults.append(place.fault(path, "refers to itself through an alias"))
            return Scalar(place, None, reported=True)
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._limit(self._convert(node, place, path), place, path)
            self._open.discard(id(node))
        return self._done[id(node)]

    def _limit(self, node: Node, place: Place, path: KeyPath) -> Node:
        """The node; a fault in its place where its aliases make it larger than a file can be."""
        size = 1
        if isinstance(node, Section):
            size += sum(1 + self._sizes.get(id(entry.node), 1) for entry in node.entries.values())
        elif isinstance(node, Items):
            size += sum(self._sizes.get(id(item), 1) for item in node.items)
        if size > self._max_nodes:
            message = f"stands for {size:,} keys and values; allowed: {self._max_nodes:,}; use fewer aliases"
            self._faults.append(place.fault(path, message))
            node, size = Scalar(place, None, reported=True), 1
        self._sizes[id(node)] = size
        return node

    def _convert(self, node: Any, place: Place, path: KeyPath) -> Node:
        tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if isinstance(node, MappingNode) and tag == "map":
            return self._section(node, place, path)
        if isinstance(node, SequenceNode) and tag == "seq":
            return Items(place, tuple(self.convert(item, (*path, str(i))) for i, item in enumerate(node.value)))
        if isinstance(node, ScalarNode) and tag in CORE_TAGS:
            return self._scalar(node, tag, place, path)
        self._faults.append(place.fault(path, f"the YAML tag {node.tag!r} is not allowed in a sweep file"))
        return Scalar(place, None, reported=True)

    def _scalar(self, node: Any, tag: str, place: Place, path: KeyPath) -> Scalar:
        if tag in ("str", "timestamp", "value"):
            return Scalar(place, node.value, reported=self._refuse_unstorable(node.value, place, path))
        if tag == "null":
            return Scalar(place, None, empty=node.value == "" and node.style is None)
        try:
            value = self._yaml.constructor.construct_object(node)
        except (ValueError, OverflowError, LookupError, YAMLError):
            kind = "true or false" if tag == "bool" else "a number"
            self._faults.append(place.fault(path, f"{show(node.value)} cannot be read as {kind}"))
            return Scalar(place, None, reported=True)
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            self._faults.append(
                place.fault(path, "a whole number of more than 64 bits; write less, or 1e20 for a number")
            )
            return Scalar(place, None, reported=True)
        if isinstance(value, float) and not math.isfinite(value):
            self._faults.append(place.fault(path, f"{node.value} is not a finite number"))
            return Scalar(place, None, reported=True)
        return Scalar(place, value)

    def _refuse_unstorable(self, text: str, place: Place, path: KeyPath) -> bool:
        """Whether a text has a character that no database takes; a fault if so."""
        found = UNSTORABLE.search(text)
        if found:
            self._faults.append(place.fault(path, f"the character {found.group()!r} cannot be stored; remove it"))
        return found is not None

    def _section(self, node: Any, place: Place, path: KeyPath) -> Section:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            at = self._fixed_place or Place(self._source, mark.line + 1, mark.column + 1)
            if str(key_node.tag).endswith(":merge"):
                self._merge(self.convert(value_node, path), merged, at, path)
                continue
            if not isinstance(key_node, ScalarNode) or not str(key_node.tag).endswith((":str", ":timestamp", ":value")):
                found = show(key_node.value) if isinstance(key_node, ScalarNode) else "a list or mapping"
                self._faults.append(at.fault(path, f"a key must be text; found {found}"))
                continue
            key = key_node.value
            if len(key) > MAX_KEY_CHARACTERS:
                message = f"a key of {len(key):,} characters; allowed: {MAX_KEY_CHARACTERS}; shorten it"
                self._faults.append(at.fault(path, message))
                continue
            if self._refuse_unstorable(key, at, path):
                continue
            if key in entries:
                first = entries[key].key_place
                where = f", first in line {first.line}" if first.line is not None else ""
                self._faults.append(at.fault((*path, key), f"is given twice{where}; keep one"))
                continue
            entries[key] = Entry(at, self.convert(value_node, (*path, key)))
        return Section(place, {**entries, **{key: entry for key, entry in merged.items() if key not in entries}})

    def _merge(self, node: Node, merged: dict[str, Entry], place: Place, path: KeyPath) -> None:
        for part in node.items if isinstance(node, Items) else (node,):
            if isinstance(part, Scalar) and part.reported:
                return
            if not isinstance(part, Section):
                self._faults.append(place.fault((*path, "<<"), f"merges mappings; found {describe(part)}"))
                return
            self._num_merged += len(part.entries)
            if self._num_merged > self._max_nodes:
                self._faults.append(place.fault((*path, "<<"), _too_large(self._max_nodes)))
                return
            for key, entry in part.entries.items():
                merged.setdefault(key, entry)


class _Representer(SafeRepresenter):
    """Writes texts with line breaks or invisible characters in double quotes, where YAML escapes them all."""

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"')


_Representer.add_representer(str, _Representer.represent_str)


def write_text(data: Mapping[str, Any]) -> str:
    """YAML text of plain values, which `parse_text` reads back as the same values."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 100_000
    yaml.allow_unicode = True
    stream = StringIO()
    yaml.dump(dict(data), stream)
    return stream.getvalue()
