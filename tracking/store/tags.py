"""Tags of any length: MLflow keeps 8,000 characters of one, so a longer text goes on in further tags. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

MAX_LENGTH = 8000
MAX_TAGS = 100  # in one call of MLflow
MAX_CHARACTERS = 50_000  # of the tags of one call, which may have a million bytes; one character can take 12
_PARTS = ".parts"  # of a tag that goes on: how many tags hold its text


def split_tags(tags: Mapping[str, str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags that MLflow keeps whole, from which `join_tags` makes these ones again.

    Args:
        tags: Texts of any length.
        known: Tags that the run has already: one that was longer before must not keep its rest.
    """
    shown: dict[str, str] = {}
    for key, told in tags.items():
        text = escape_unstorable(told)
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
        if name != key and name in tags and num_parts.isdecimal():
            later = takewhile(tags.__contains__, (f"{name}.{number}" for number in range(2, int(num_parts[:9]) + 1)))
            joined[name] = tags[name] + "".join(tags[part] for part in later)
    return joined


def escape_unstorable(text: str) -> str:
    """The text with escapes for the characters that databases do not take: NUL, and halves of a character."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def batch_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """The tags in as many parts as the limits of one call ask for; one empty part for no tags."""
    batches: list[dict[str, str]] = [{}]
    num_characters = 0
    for key, text in tags.items():
        num_characters += len(text)
        if len(batches[-1]) == MAX_TAGS or num_characters > MAX_CHARACTERS:
            batches.append({})
            num_characters = len(text)
        batches[-1][key] = text
    return batches
