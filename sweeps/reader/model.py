"""The base of all models that are read from a file, and how their faults become sentences."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from sweeps.errors import SpecFault
from sweeps.reader.tree import KeyPath, Section


class Frozen(BaseModel):
    """Base of all models of the sweep file: immutable, no unknown keys, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def fault_at(key: str, message: str, *compared: str) -> PydanticCustomError:
    """A fault of one key of a model.

    Args:
        key: Whose line the fault is reported at.
        message: What was found, what is allowed, what to do.
        compared: Other keys that the fault is about; where one of them is at fault itself, this fault is not reported.
    """
    # pydantic fills in the template, so braces in the message must not be part of it
    return PydanticCustomError("sweep_fault", "{message}", {"message": message, "keys": (key, *compared)})


M = TypeVar("M", bound=BaseModel)


def validate(
    model: type[M], data: dict[str, Any], node: Section, path: KeyPath, bad: set[str], faults: list[SpecFault]
) -> M | None:
    """The model of the data, or None and faults; a key at fault is taken out and the rest is looked at again.

    Args:
        model: What to make.
        data: Loses the keys at fault.
        node: Where the data was written.
        path: Key path of the node.
        bad: Keys that are at fault already, about which nothing more is said; gains those found here.
        faults: Gains what is wrong.
    """
    while True:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            found = False
            for detail in error.errors(include_url=False):
                location = tuple(str(part) for part in detail["loc"][:1])
                keys = tuple(key for key in detail.get("ctx", {}).get("keys", location) if key) or location
                if bad.intersection(keys):
                    continue
                found = True
                bad.add(keys[0])
                data.pop(keys[0], None)
                written = node.entries.get(keys[0])
                place = written.node.place if written else node.place
                faults.append(place.fault((*path, keys[0]), _translate(detail)))
            if not found:
                return None


def _translate(detail: ErrorDetails) -> str:
    """Pydantic's finding in our words; what a `Setting` can check never comes here."""
    match detail["type"]:
        case "missing":
            return "missing; give it"
        case "string_too_long":
            return f"found {len(detail['input'])} characters; allowed: at most {detail['ctx']['max_length']}"
    return detail["msg"]
