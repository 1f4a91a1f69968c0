"""Where a sweep comes from, as MLflow tells it of a run: what was started, from which commit, on which data. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tracking import names

_CHANGES = "+changes"  # ends a commit from which files differ
_DIGEST_CHARACTERS = 32  # MLflow takes 36


@dataclass(frozen=True)
class DatasetFacts:
    """A data set as MLflow's column "Dataset" has it.

    Attributes:
        digest: 32 hexadecimal digits, the first of the manifest's.
        source_type: http | local | code.
        source: JSON; its keys are those of MLflow's sources of that type.
        profile: JSON: how many images and classes.
    """

    name: str
    digest: str
    source_type: str
    source: str
    profile: str


def build_source_tags(manifest: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that fill MLflow's column "Source": sweep file, command and commit of a sweep's first driver.

    Args:
        manifest: Of the sweep.
        tags: Of its run.
    """
    words = _split(str(manifest.get("command") or ""))
    entry_point = " ".join(words[:2]) or "sweeps.run_sweep"  # from Python
    file = next((word for word in words if word.endswith((".yaml", ".yml"))), entry_point)
    found = {
        names.SOURCE_NAME: file,
        names.SOURCE_TYPE: "JOB" if names.SWEEP_JOB in tags else "LOCAL",
        names.ENTRY_POINT: entry_point,
    }
    commit = str(manifest.get("git_commit") or "")
    if commit:
        found[names.GIT_COMMIT] = commit.removesuffix(_CHANGES)
        found[names.GIT_DIRTY] = str(commit.endswith(_CHANGES)).lower()
    return found


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # somebody has changed the manifest
        return []


def find_dataset(manifest: Mapping[str, Any]) -> DatasetFacts | None:
    """The data set of a sweep; None where the manifest does not say it.

    Manifests of before November 28, 2026 have its name and digest alone.
    """
    data = manifest.get("data")
    if not isinstance(data, Mapping) or not data.get("name") or not data.get("digest"):
        return None
    source = str(data.get("source") or "")
    place: dict[str, object]
    if source.startswith(("http://", "https://")):
        source_type, place = "http", {"url": source}
    elif source.startswith("/"):
        source_type, place = "local", {"uri": source}
    else:
        source_type, place = "code", {"tags": {names.SOURCE_NAME: source or str(data["name"])}}
    counts = {key: value for key, value in data.items() if key.startswith("num_")}
    digest = str(data["digest"])[:_DIGEST_CHARACTERS]
    return DatasetFacts(str(data["name"])[:500], digest, source_type, json.dumps(place), json.dumps(counts))
