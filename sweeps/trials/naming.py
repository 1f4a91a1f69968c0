"""The ids of trials, by which runs, folders and logs are called: no two trials of a sweep share one. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256

from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_SEARCH, STAGES

MAX_SLUG_CHARACTERS = 180  # MLflow keeps 250 of a run's name, a file system 255 bytes of a file's
_RETRAINED = tuple(f"-{stage}" for stage in STAGES if stage != STAGE_SEARCH)  # end the slug in ids of retrainings


def name_arms(arms: Iterable[str], entries: Iterable[TrialEntry] = ()) -> dict[str, str]:
    """A slug for each arm, with which the ids of its trials begin; the same one in every driver of a sweep.

    It is the arm's name with only the characters that file names and tags take everywhere. A digest of the name follows
    where that is too long, or where ids that begin with it could be another arm's; many file systems ignore case.

    Args:
        arms: Their names, all different.
        entries: Trials that the sweep has already; an arm with search trials keeps the slug of their ids.
    """
    plain = {arm: slug(arm) for arm in arms}
    counts = Counter(text.lower() for text in plain.values())
    named = {arm: text for arm, text in plain.items() if _is_free(text, counts)}
    taken = {text.removesuffix(end) for text in counts for end in ("", *_RETRAINED)}
    for arm in sorted(plain.keys() - named.keys()):
        named[arm] = _add_digest(arm, plain[arm], taken)
        taken.add(named[arm].lower())
    kept = {
        entry.arm: entry.trial_id.removesuffix(search_id("", entry.number))
        for entry in entries
        if entry.stage == STAGE_SEARCH
    }
    return {arm: kept.get(arm, named[arm]) for arm in plain}


def slug(text: str) -> str:
    """`text` with only the characters that file names and tags take everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text) or "_"


def search_id(arm_slug: str, number: int) -> str:
    """The id of an arm's search trial; numbers count from 0."""
    return f"{arm_slug}-{number:03d}"


def retraining_id(arm_slug: str, stage: str, number: int) -> str:
    """The id of an arm's retraining; numbers count from 0 in each stage."""
    return f"{arm_slug}-{stage}-{number:02d}"


def _is_free(text: str, counts: Mapping[str, int]) -> bool:
    lower = text.lower()
    others = {lower.removesuffix(end) for end in _RETRAINED} - {lower}
    could_retrain = any(other in counts for other in others)  # another arm: its search ids
    return len(text) <= MAX_SLUG_CHARACTERS and counts[lower] == 1 and not could_retrain


def _add_digest(arm: str, text: str, taken: set[str]) -> str:
    digest = sha256(arm.encode("utf-8", "surrogatepass")).hexdigest()
    candidates = (f"{text[: MAX_SLUG_CHARACTERS - length - 1]}-{digest[:length]}" for length in range(8, len(digest)))
    return next(each for each in candidates if each.lower() not in taken)
