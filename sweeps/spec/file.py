"""Reads a sweep file into a SweepSpec, and writes a SweepSpec as a sweep file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.errors import SpecError, SpecFault
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.parameters import Choices, Parameter
from sweeps.spec.models import SweepSpec

if TYPE_CHECKING:
    from sweeps.reader.tree import Section


def load_spec(path: Path | str, overrides: Sequence[str] = ()) -> SweepSpec:
    """The sweep that a file and overrides describe.

    Args:
        path: A YAML 1.2 file; "-" reads standard input.
        overrides: Each `key.path=value`, the value in YAML 1.2, laid over the file in order.

    Raises:
        SpecError: With every fault of the file and of the overrides.
    """
    from sweeps.reader.faults import FaultList
    from sweeps.reader.file import read_tree

    faults = FaultList()
    tree = read_tree(path, overrides, faults)
    return _build_spec(tree, faults, name="" if str(path) == "-" else Path(path).stem)


def load_spec_text(text: str, source: str, overrides: Sequence[str] = ()) -> SweepSpec:
    """The sweep that a text and overrides describe; as `load_spec`.

    Args:
        text: YAML 1.2.
        source: What messages call it.
        overrides: As in `load_spec`.

    Raises:
        SpecError: With every fault of the text and of the overrides.
    """
    from sweeps.reader.faults import FaultList
    from sweeps.reader.file import parse_tree_text

    faults = FaultList()
    return _build_spec(parse_tree_text(text, source, overrides, faults), faults, name="")


def load_recorded_text(text: str, source: str, overrides: Sequence[str] = ()) -> SweepSpec:
    """The sweep that has run as a text says, though a new one might not: its limits are as it was begun with.

    An earlier version may have taken a limit that no trial can reach, or a length that never acts; that is no reason
    to lose a sweep. Overrides are checked as those of a new sweep, unless the text has such a fault already.

    Args:
        text: YAML 1.2.
        source: What messages call it.
        overrides: As in `load_spec`.

    Raises:
        SpecError: With every other fault of the text and of the overrides.
    """
    from sweeps.reader.faults import FaultList
    from sweeps.reader.file import parse_tree_text

    def load(given: Sequence[str], *, checks_limits: bool) -> SweepSpec:
        faults = FaultList()
        return _build_spec(parse_tree_text(text, source, given, faults), faults, name="", checks_limits=checks_limits)

    if not overrides:
        return load((), checks_limits=False)
    try:
        load((), checks_limits=True)
    except SpecError:
        return load(overrides, checks_limits=False)
    return load(overrides, checks_limits=True)


def _build_spec(tree: Section, faults: list[SpecFault], *, name: str, checks_limits: bool = True) -> SweepSpec:
    """The sweep of a tree; one that has no name of its own is called as its file is."""
    from sweeps.reader.faults import Faults
    from sweeps.spec.check_limits import check_limits
    from sweeps.spec.check_sections import check_sections
    from sweeps.spec.check_space import check_space
    from sweeps.spec.expand import expand_default_spaces, lift_groups
    from sweeps.spec.parse import parse_tree

    tree = expand_default_spaces(lift_groups(tree, faults), faults)
    draft = parse_tree(tree, SweepSpec, faults)
    placed = Faults(tree, faults)
    check_sections(draft, placed)
    if checks_limits:
        check_limits(draft, placed)
    check_space(draft.get("parameters", {}), draft.get("constraints", ()), placed)
    if faults:
        raise SpecError(faults)
    if "name" not in tree.entries and name:
        printable = "".join(letter if letter.isprintable() else "-" for letter in name).strip()
        draft["name"] = printable[:100] or "sweep"
    return SweepSpec.model_validate(draft)


_LISTS = ("compare", "constraints", "prior", "points", "metrics")  # left out where they are empty


def dump_spec(spec: SweepSpec) -> str:
    """The text of a sweep file that loads as the same spec, with every default written out.

    Raises:
        SpecError: It would be larger than a sweep file can be, so that the sweep could not be resumed.
    """
    from sweeps.reader.limits import MAX_FILE_BYTES, MAX_NODES
    from sweeps.reader.text import write_text

    data = build_file_data(spec)
    text = write_text(data)
    num_nodes, num_bytes = _count(data), len(text.encode("utf-8"))
    if num_nodes > MAX_NODES or num_bytes > MAX_FILE_BYTES:
        message = (
            f"with all defaults it is {num_nodes:,} keys and values in {num_bytes:,} bytes; allowed: {MAX_NODES:,} in "
            f"{MAX_FILE_BYTES:,}; shorten it"
        )
        raise SpecError([SpecFault(spec.name, None, None, "", message)])
    return text


def build_file_data(spec: SweepSpec) -> dict[str, Any]:
    """What `dump_spec` writes, as mappings, lists and plain values."""
    data = spec.model_dump(exclude={"parameters", *_LISTS}, exclude_none=True)
    lists = {key: list(getattr(spec, key)) for key in _LISTS}
    lists["metrics"] = [metric.model_dump(exclude_none=True) for metric in spec.metrics]
    if spec.metrics:
        del data["metric"]
    data |= {key: items[0] if len(items) == 1 and key == "compare" else items for key, items in lists.items() if items}
    data["parameters"] = _dump_parameters(spec.parameters)
    return data


def _count(data: Any) -> int:
    """Keys, values, lists and mappings, as `reader.tree.count_nodes` counts them."""
    if isinstance(data, Mapping):
        return 1 + len(data) + sum(map(_count, data.values()))
    return 1 + sum(map(_count, data)) if isinstance(data, list | tuple) else 1


def _dump_parameters(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {name: _dump_parameter(parameter) for name, parameter in parameters.items()}


def _dump_parameter(parameter: Parameter) -> Any:
    """What stands after the parameter's name in the file."""
    match parameter:
        case Constant(value=value):
            return value
        case Categorical(values=values, probabilities=probabilities):
            return {"values": list(values), **({"probabilities": list(probabilities)} if probabilities else {})}
        case Choices(choices=choices):
            return {"choices": {name: _dump_parameters(settings) for name, settings in choices.items()}}
    return parameter.model_dump()
