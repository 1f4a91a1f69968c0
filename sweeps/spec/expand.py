"""Rewrites the tree of a sweep file before it is parsed: W&B's nested parameters, and `space: default`.

A nested group of parameters is lifted to where the group stands. `space: default` inside a choice becomes the search
space that the trainer's table has for that optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sweeps.errors import SpecFault
from sweeps.reader.tree import Entry, Items, KeyPath, Node, Place, Scalar, Section, describe
from trainer.config import find_row
from trainer.tables.optimizers import OPTIMIZERS

_SPACE = "space"
_PARAMETERS = "parameters"
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
        if isinstance(entry.node, Section) and _SPACE in entry.node.entries:
            entries[name] = replace(entry, node=_expand(name, entry.node, (*path, name, _SPACE), faults))
    return replace(choices, entries=entries)


def _expand(name: str, settings: Section, path: KeyPath, faults: list[SpecFault]) -> Section:
    given = {key: entry for key, entry in settings.entries.items() if key != _SPACE}
    node, place = settings.entries[_SPACE].node, settings.entries[_SPACE].key_place
    row = find_row(TABLE, name)
    default_space = OPTIMIZERS[row.name].default_space if row is not None and row.name in OPTIMIZERS else None
    if not isinstance(node, Scalar) or node.value != "default":
        faults.append(node.place.fault(path, f"found {describe(node)}; allowed: default"))
    elif row is not None and default_space is None:
        faults.append(place.fault(path, f"{name} has no default space; give its settings"))
    elif row is not None and default_space is not None:
        spelt = {setting.name: setting.complement_of for setting in row.settings if setting.complement_of}
        taken = {spelt.get(key, key) for key in given}
        space = {key: value for key, value in default_space.items() if spelt.get(key, key) not in taken}
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


def lift_groups(tree: Section, faults: list[SpecFault]) -> Section:
    """The tree with the parameters of every group beside those around it, whatever the group is called.

    Our parameters have flat names, so that a group says nothing but what belongs together.
    """
    entry = tree.entries.get(_PARAMETERS)
    if entry is None or not isinstance(entry.node, Section):
        return tree
    lifted = _lift(entry.node, (_PARAMETERS,), faults)
    return replace(tree, entries={**tree.entries, _PARAMETERS: replace(entry, node=lifted)})


def _lift(section: Section, path: KeyPath, faults: list[SpecFault]) -> Section:
    entries: dict[str, Entry] = {}
    for name, entry in section.entries.items():
        here = (*path, name)
        for inner_name, inner in _members(name, entry, here, faults).items():
            first = entries.setdefault(inner_name, inner)
            if first is not inner:
                where = f" in line {first.key_place.line}" if first.key_place.line is not None else ""
                message = f"{inner_name} is given already{where}; keep one of the two"
                faults.append(inner.key_place.fault(here, message))
    return replace(section, entries=entries)


def _members(name: str, entry: Entry, path: KeyPath, faults: list[SpecFault]) -> Mapping[str, Entry]:
    """What a parameter contributes: itself, or the members of the group that it is."""
    node = entry.node
    if not isinstance(node, Section) or _PARAMETERS not in node.entries:
        return {name: entry}
    for key, other in node.entries.items():
        if key != _PARAMETERS:
            message = "stands beside `parameters:`, which makes a group; a group has nothing else; remove it"
            faults.append(other.key_place.fault((*path, key), message))
    group = node.entries[_PARAMETERS].node
    if not isinstance(group, Section):
        place = node.entries[_PARAMETERS].key_place
        faults.append(place.fault((*path, _PARAMETERS), "allowed: a mapping of parameters, for example `lr: 0.001`"))
        return {}
    return _lift(group, (*path, _PARAMETERS), faults).entries
