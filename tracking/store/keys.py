"""Keys of metrics that MLflow takes. Pure."""

from __future__ import annotations

import posixpath
import re
from hashlib import sha256

MAX_KEY_CHARACTERS = 200  # MLflow keeps 250, some of which go to prefixes of ours
_FORBIDDEN = re.compile(r"[^\w.\- :/]")


def build_key(name: str) -> str:
    """A metric's key: its name, or where MLflow refuses that, a name like it with a digest, which no other metric has.

    MLflow takes letters, digits and a few signs, and what a path would read as another name it refuses.
    """
    key = _FORBIDDEN.sub("_", name)
    if posixpath.normpath(key) != key or key.startswith((".", "/")):
        key = key.replace("/", "_").lstrip(".") or "_"
    if key == name and len(name) <= MAX_KEY_CHARACTERS:
        return name
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{key[: MAX_KEY_CHARACTERS - 9]}-{digest}"
