"""`space: default` inside a choice: the search space that the trainer's table has for that optimizer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sweeps.errors import SpecFault
from sweeps.reader.tree import Entry, Items, KeyPath, Node, Place, Scalar, Section, describe
from trainer.config.config import find_row
from trainer.tables.default_spaces import DEFAULT_SPACES

KEY = "space"
TABLE = "optimizer"


def expand_default_spaces(tree: Section, faults: list[SpecFault]) -> Section:
    """The tree with each `space: default` replaced by the parameters that it stands for.

    What the choice gives beside it stays, and takes the place of what the default space would have for that setting.
    """
    path: KeyPath = ("parameters", TABLE, "choices")
    return _replace(tree, path, lambda choices: _expand_choices(choices, path, faults))


def _replace(node: Section, path: KeyPath, change: Callable[[Section], Section]) -> Section:
    """The section with what lies at a path, if it is a section, changed."""
    if not path:
        return change(node)
    entry = node.entries.get(path[0])
    if entry is None or not isinstance(entry.node, Section):
        return node
    inner = _replace(entry.node, path[1:], change)
    return replace(node, entries={**node.entries, path[0]: replace(entry, node=inner)})


def _expand_choices(choices: Section, path: KeyPath, faults: list[SpecFault]) -> Section:
    entries = dict(choices.entries)
    for name, entry in choices.entries.items():
        if isinstance(entry.node, Section) and KEY in entry.node.entries:
            entries[name] = replace(entry, node=_expand(name, entry.node, (*path, name, KEY), faults))
    return replace(choices, entries=entries)


def _expand(name: str, settings: Section, path: KeyPath, faults: list[SpecFault]) -> Section:
    given = {key: entry for key, entry in settings.entries.items() if key != KEY}
    node, place = settings.entries[KEY].node, settings.entries[KEY].key_place
    row = find_row(TABLE, name)
    if not isinstance(node, Scalar) or node.value != "default":
        faults.append(node.place.fault(path, f"found {describe(node)}; allowed: default"))
    elif row is not None and row.name not in DEFAULT_SPACES:
        faults.append(place.fault(path, f"{name} has no default space; give its settings"))
    elif row is not None:
        spelt = {setting.name: setting.complement_of for setting in row.settings if setting.complement_of}
        taken = {spelt.get(key, key) for key in given}
        space = {key: value for key, value in DEFAULT_SPACES[row.name].items() if spelt.get(key, key) not in taken}
        return replace(settings, entries={**_to_tree(space, place).entries, **given})
    return replace(settings, entries=given)


def _to_tree(content: Mapping[str, Any], place: Place) -> Section:
    return Section(place, {key: Entry(place, _to_node(value, place)) for key, value in content.items()})


def _to_node(value: Any, place: Place) -> Node:
    if isinstance(value, Mapping):
        return _to_tree(value, place)
    if isinstance(value, list):
        return Items(place, tuple(_to_node(each, place) for each in value))
    return Scalar(place, value)
