"""How the driver of a submitted sweep gets MLflow's password, which does not travel with its job.

Whatever travels with a job (environment, entrypoint, metadata) lies in clear in Ray's Jobs API and in the head's logs.
So a job has what is secret from the environment of the head, or else from a file on the shared storage that only the
user can read, and that is gone when the job has begun.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tracking.store.connection import strip_secrets

URI = "MLFLOW_TRACKING_URI"
JOB_HAS_BEGUN = "this machine has what was asked for: the sweep's driver begins"  # a line of the job's log
USERNAME, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"


@contextmanager
def lend_credentials(environment: Mapping[str, str], storage: str | None) -> Iterator[dict[str, Any]]:
    """What a job is told of MLflow, without secrets; at its end the file that has them, if there was one, is gone.

    Args:
        environment: Of the process that submits.
        storage: Results folder on the cluster; the file is written where it is mounted here as well.
    """
    uri = environment.get(URI, "")
    told = strip_secrets(uri)
    needs = [URI] if told != uri else []
    if uri.startswith(("http://", "https://")):
        needs += [name for name in (USERNAME, PASSWORD, TOKEN) if environment.get(name)]
    file = None
    if needs and storage is not None and Path(storage).is_dir():
        file = _write_file({name: environment[name] for name in needs}, Path(storage))
    try:
        yield {"uri": told, "needs": needs, "file": str(file or "")}
    finally:
        if file is not None:
            file.unlink(missing_ok=True)


def _write_file(values: Mapping[str, str], folder: Path) -> Path | None:
    """Writes the file with the mode 0600; None where the folder cannot be written from here."""
    path = folder / f".credentials-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(dict(values), file)
    except OSError:
        path.unlink(missing_ok=True)
        return None
    return path


def take_credentials(told: Mapping[str, Any], environment: MutableMapping[str, str], user_home: Path) -> str:
    """Completes the environment of a job; returns in one sentence what is missing, "" when nothing is.

    Args:
        told: What `lend_credentials` gave.
        environment: Of the job, which is the head's; changed.
        user_home: Where MLflow's own file of credentials would be.
    """
    uri, needs, file = str(told["uri"]), list(told["needs"]), str(told["file"])
    lent = _read_file(file) if file else {}
    if uri and strip_secrets(environment.get(URI, "")) != uri:
        if environment.get(URI):  # the head's passwords are those of another server
            for name in (USERNAME, PASSWORD, TOKEN):
                environment.pop(name, None)
        environment[URI] = uri
    missing = [name for name in needs if not _has(name, environment, user_home)]
    if missing and all(name in lent for name in needs):
        environment.update(lent)
        return ""
    if not missing:
        return ""
    unread = f" (nor can {file} be read there)" if file else ""
    return (
        f"MLflow at {uri}: the head of the cluster has no {', '.join(missing)}{unread}, and what is secret does not "
        "travel with a job, where others could read it; set it in the environment of `ray start --head`, or submit "
        "with --storage FOLDER from where that folder is mounted: a file goes there that only you can read"
    )


def _has(name: str, environment: Mapping[str, str], user_home: Path) -> bool:
    if name == URI:
        return strip_secrets(environment.get(URI, "")) != environment.get(URI, "")
    in_file = name in (USERNAME, PASSWORD) and (user_home / ".mlflow" / "credentials").exists()
    return in_file or bool(environment.get(name))


def _read_file(path: str) -> dict[str, str]:
    """What the submitting side has written; the file is deleted."""
    found: dict[str, str] = {}
    with suppress(OSError, ValueError):
        found = json.loads(Path(path).read_text("utf-8"))
        Path(path).unlink()
    return found
