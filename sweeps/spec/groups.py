"""W&B's nested parameters: a group of parameters under a name of its own, lifted to where it stands."""

from collections.abc import Mapping
from dataclasses import replace

from sweeps.errors import SpecFault
from sweeps.reader.tree import Entry, KeyPath, Section

KEY = "parameters"


def lift_groups(tree: Section, faults: list[SpecFault]) -> Section:
    """The tree with the parameters of every group beside those around it, whatever the group is called.

    Our parameters have flat names, so that a group says nothing but what belongs together.
    """
    entry = tree.entries.get(KEY)
    if entry is None or not isinstance(entry.node, Section):
        return tree
    lifted = _lift(entry.node, (KEY,), faults)
    return replace(tree, entries={**tree.entries, KEY: replace(entry, node=lifted)})


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
    if not isinstance(node, Section) or KEY not in node.entries:
        return {name: entry}
    for key, other in node.entries.items():
        if key != KEY:
            message = "stands beside `parameters:`, which makes a group; a group has nothing else; remove it"
            faults.append(other.key_place.fault((*path, key), message))
    group = node.entries[KEY].node
    if not isinstance(group, Section):
        place = node.entries[KEY].key_place
        faults.append(place.fault((*path, KEY), "allowed: a mapping of parameters, for example `lr: 0.001`"))
        return {}
    return _lift(group, (*path, KEY), faults).entries
