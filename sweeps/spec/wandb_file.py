"""A sweep file of Weights & Biases as one of ours, with a sentence on each thing that had to go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.errors import SpecError, SpecFault
from sweeps.reader.file import read_tree
from sweeps.reader.text import write_text
from sweeps.reader.tree import Items, Node, Scalar, Section
from sweeps.search.methods import METHODS
from sweeps.spec.file import load_spec_text
from sweeps.spec.models import SweepSpec
from sweeps.spec.parse import REFUSED_KEYS
from sweeps.trials.objectives import METRICS
from trainer.config import TABLES, known_names
from trainer.tables.settings import find_nearest

RUNS = 20  # of a file that says nothing of their number: W&B draws for ever
MAX_ROUNDS = 50  # each takes something out
_KEYS = ("name", "description", "project", "method", "metric", "parameters", "early_terminate", "run_cap")
_METRIC_KEYS = ("name", "goal", "target")


@dataclass
class Conversion:
    """A converted file.

    Attributes:
        text: The sweep file.
        changes: A sentence on each thing that was left out, renamed or added.
    """

    text: str
    changes: list[str] = field(default_factory=list)


def convert_wandb(data: Mapping[str, Any], source: str) -> Conversion:
    """The sweep file that says what a file of W&B says, as far as this project has it.

    Args:
        data: What the file holds.
        source: Its name, for faults.

    Raises:
        SpecError: Nothing that can be searched is left.
    """
    changes: list[str] = []
    kept: dict[str, Any] = {key: data[key] for key in _KEYS if key in data}
    changes += [_leave_out(key, REFUSED_KEYS.get(key, "there is no such key here")) for key in data if key not in _KEYS]
    if isinstance(kept.get("metric"), Mapping):
        kept["metric"] = _convert_metric(kept["metric"], changes)
    if isinstance(kept.get("parameters"), Mapping):
        kept["parameters"] = _convert_parameters(kept["parameters"], changes, "parameters")
    if "run_cap" not in kept and kept.get("method") != "grid":
        kept["run_cap"] = RUNS
        changes.append(f"run_cap: added, {RUNS}; W&B draws until somebody stops it")
    _take_out_faults(kept, changes, source)
    return Conversion(write_text(kept), changes)


def _leave_out(path: str, why: str) -> str:
    return f"{path}: left out; {why}"


def _convert_metric(metric: Mapping[str, Any], changes: list[str]) -> dict[str, Any]:
    name = str(metric.get("name", ""))
    ours = find_nearest(name, METRICS)
    changes += [_leave_out(f"metric.{key}", "there is no such key here") for key in metric if key not in _METRIC_KEYS]
    if ours is None or ours.startswith(("train_", "num_")):
        changes.append(f"metric.name: {name!r} is nothing that is measured here; val_accuracy is in its place")
        return {"name": "val_accuracy", "goal": "maximize"}
    if ours != name:
        changes.append(f"metric.name: {name!r} is called {ours} here")
    kept = {key: metric[key] for key in _METRIC_KEYS if key in metric}
    goal = METRICS[ours].goal
    if kept.get("goal", goal) != goal:
        changes.append(f"metric.goal: {kept['goal']!r} is replaced: {ours} is to be {goal}d")
    return {**kept, "name": ours, "goal": goal}


def _convert_parameters(parameters: Mapping[str, Any], changes: list[str], path: str) -> dict[str, Any]:
    """The parameters by our names; a group of W&B's nested ones comes to stand beside the others."""
    made: dict[str, Any] = {}
    for key, value in parameters.items():
        name, here = str(key), f"{path}.{key}"
        if isinstance(value, Mapping) and isinstance(value.get("parameters"), Mapping):
            made |= _convert_parameters(value["parameters"], changes, here)
            continue
        ours = find_nearest(name, known_names())
        if ours is None:
            changes.append(_leave_out(here, "nothing here has a setting of that name"))
        elif ours in made:
            changes.append(_leave_out(here, f"{ours} is given already"))
        else:
            if ours != name:
                changes.append(f"{here}: is called {ours} here")
            made[ours] = _convert_rows(ours, value, changes, here)
    return made


def _convert_rows(name: str, value: Any, changes: list[str], path: str) -> Any:
    """A parameter, in which rows of a table have our names; those that there are not go."""
    if name not in TABLES or not isinstance(value, Mapping):
        return value
    rows = [each for row in TABLES[name].values() for each in (row.name, *row.aliases)]

    def translate(text: Any) -> str | None:
        ours = find_nearest(str(text), rows)
        if ours is None:
            changes.append(_leave_out(f"{path}: {text}", f"there is no {name} of that name"))
        elif ours != text:
            changes.append(f"{path}: {text} is called {ours} here")
        return ours

    if isinstance(value.get("values"), list):
        found = [ours for text in value["values"] if (ours := translate(text)) is not None]
        return {"values": list(dict.fromkeys(found))}
    if "value" in value and (ours := translate(value["value"])) is not None:
        return {"value": ours}
    return value


def _take_out_faults(kept: dict[str, Any], changes: list[str], source: str) -> None:
    """Takes out what this project refuses, until the file is a sweep's.

    Raises:
        SpecError: What is left is at fault as a whole.
    """
    for _ in range(MAX_ROUNDS):
        try:
            load_spec_text(write_text(kept), source)
        except SpecError as error:
            if not any(_take_out(kept, fault.key_path, fault.message, changes) for fault in error.faults[:1]):
                raise
        else:
            return


def _take_out(kept: dict[str, Any], key_path: str, message: str, changes: list[str]) -> bool:
    """Takes the key out at which a fault lies, and whether there was one that can go."""
    top, _, rest = key_path.partition(".")
    inner = rest.partition(".")[0]
    if top == "parameters" and inner in kept.get("parameters", {}):
        del kept["parameters"][inner]
        changes.append(_leave_out(f"parameters.{inner}", message))
        return bool(kept["parameters"])
    if top == "method" and "method" in kept and kept["method"] not in METHODS:
        kept["method"] = "random"
        changes.append(f"method: random in its place; {message}")
        return True
    if top in kept and top in SweepSpec.model_fields and top not in ("parameters", "method"):
        del kept[top]
        changes.append(_leave_out(top, message))
        return True
    return False


def read_wandb(path: Path) -> dict[str, Any]:
    """What a YAML file holds, as mappings, lists and plain values.

    Raises:
        SpecError: It cannot be read, or is no mapping.
    """
    faults: list[SpecFault] = []
    tree = read_tree(path, (), faults)
    if faults:
        raise SpecError(faults)
    return {key: _plain(entry.node) for key, entry in tree.entries.items()}


def _plain(node: Node) -> Any:
    match node:
        case Section(entries=entries):
            return {key: _plain(entry.node) for key, entry in entries.items()}
        case Items(items=items):
            return [_plain(item) for item in items]
        case Scalar(value=value):
            return value
