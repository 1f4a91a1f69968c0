"""The settings that would train a trial's weights from the start, where weights and settings were taken over: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainer.config import Value
from trainer.config.changes import CHANGES, apply_changes, format_changes, parse_changes

if TYPE_CHECKING:
    from sweeps.trials.ledger import TrialEntry


def follow_on(donor: TrialEntry, epoch: int, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """The settings, but for the seed, of one training that does what a trial and those before it have done.

    Args:
        donor: The trial whose weights are gone on with.
        epoch: After which they are.
        parameters: All settings from there on.
    """
    course = {name: value for name, value in (donor.course or donor.parameters).items() if name != "seed"}
    text = course.pop(CHANGES, None)
    changes = {when: what for when, what in (parse_changes(str(text)) if text else {}).items() if when < epoch}
    if changes:
        course[CHANGES] = format_changes(changes)
    before = apply_changes(course, epoch)
    changed = {name: value for name, value in parameters.items() if name in before and before[name] != value}
    if changed:
        course[CHANGES] = format_changes({**changes, epoch: changed})
    return course
