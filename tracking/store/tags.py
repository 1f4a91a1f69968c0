"""Tags of any length: MLflow keeps 8,000 characters of one, so a longer text goes on in further tags. Pure."""

from __future__ import annotations

from collections.abc import Mapping

MAX_LENGTH = 8000
_PARTS = ".parts"  # of a tag that goes on: how many tags hold its text


def split_tags(tags: Mapping[str, str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags that MLflow keeps whole, from which `join_tags` makes these ones again.

    Args:
        tags: Texts of any length.
        known: Tags that the run has already: one that was longer before must not keep its rest.
    """
    shown: dict[str, str] = {}
    for key, text in tags.items():
        parts = [text[start : start + MAX_LENGTH] for start in range(0, len(text), MAX_LENGTH)] or [""]
        shown[key] = parts[0]
        shown |= {f"{key}.{number}": part for number, part in enumerate(parts[1:], start=2)}
        if len(parts) > 1 or key + _PARTS in (known or {}):
            shown[key + _PARTS] = str(len(parts))
    return shown


def join_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run as they were before they were split."""
    joined = dict(tags)
    for key, num_parts in tags.items():
        name = key.removesuffix(_PARTS)
        if name != key and name in tags and num_parts.isdigit():
            joined[name] = "".join(tags.get(f"{name}.{number}", "") for number in range(2, int(num_parts) + 1))
            joined[name] = tags[name] + joined[name]
    return joined
