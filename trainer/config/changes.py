"""Settings that change while a training runs: the text that says when and to what, and what of it cannot be. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from trainer.tables.initializers import INITIALIZERS
from trainer.tables.models import MODELS
from trainer.tables.settings import Value

CHANGES = "changes"  # the setting that holds the text
_ROWS_OF_THE_START = {"model": MODELS, "initializer": INITIALIZERS}
FIXED = frozenset(
    (
        *("seed", "epochs", "dataset", "data_dir", "train_size", "evaluate_on", "precision", "compile", CHANGES),
        *("optimizer", "schedule", *_ROWS_OF_THE_START),
        *(setting.name for rows in _ROWS_OF_THE_START.values() for row in rows.values() for setting in row.settings),
    )
)  # what stays as it is: what only matters before the first step, or what the state of a training hangs on
CHANGES_EXAMPLE = '{"5": {"lr": 0.01}}'

Changes = Mapping[int, Mapping[str, Value]]


def format_changes(changes: Changes) -> str:
    """The text of some changes.

    Args:
        changes: Epoch -> the settings that are other ones from the end of that epoch on.
    """
    return json.dumps({str(epoch): dict(changes[epoch]) for epoch in sorted(changes)}, separators=(",", ":"))


def parse_changes(text: str) -> dict[int, dict[str, Value]]:
    """The changes of a text, by rising epoch.

    Raises:
        ValueError: It is not such a text; says what one looks like.
    """
    wanted = f"is not a list of changes; write after which epoch what is set, such as {CHANGES_EXAMPLE}"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(wanted) from error
    if not isinstance(content, dict) or not content:
        raise ValueError(wanted)
    changes: dict[int, dict[str, Value]] = {}
    for epoch, settings in content.items():
        if not (epoch.isascii() and epoch.isdecimal() and int(epoch) > 0) or not isinstance(settings, dict):
            raise ValueError(wanted)
        if not settings or any(isinstance(value, list | dict) for value in settings.values()):
            raise ValueError(wanted)
        if int(epoch) in changes:
            raise ValueError(f"names epoch {int(epoch)} twice; keep one of them")
        changes[int(epoch)] = settings
    return dict(sorted(changes.items()))


def is_off(value: object) -> bool:
    """Whether a setting switches something off; what was off has no state that could be gone on with."""
    return value is None or value == 0


def apply_changes(parameters: Mapping[str, Value], num_epochs: int) -> dict[str, Value]:
    """The parameters of the epoch that follows on a number of epochs, with no changes of their own.

    Args:
        parameters: A configuration's.
        num_epochs: That are over.
    """
    text = parameters.get(CHANGES)
    now = {name: value for name, value in parameters.items() if name != CHANGES}
    for epoch, settings in parse_changes(str(text)).items() if text is not None else ():
        if epoch <= num_epochs:
            now |= settings
    return now
