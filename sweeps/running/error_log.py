"""Why a trial failed, in a log of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sweeps.running.sweep import RunningSweep, TrialEvent
from tracking.names import TrialState

if TYPE_CHECKING:
    from sweeps.trials.ledger import TrialEntry


def keep_error(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
    """A listener that writes why a trial failed to its log: the reason, and the traceback or what Ray said."""
    if entry is None or event is not TrialEvent.ENDED or entry.state is not TrialState.FAILED:
        return
    with contextlib.suppress(OSError):  # a full disk must not end the sweep; the reason is recorded anyway
        log = sweep.folder.trial_log(entry.trial_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        text = f"{entry.stop_reason}\n\n{entry.error}"
        log.write_text(text, encoding="utf-8", errors="backslashreplace")
