"""One trial of a sweep, as somebody reads of it who asks why it ended."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tracking.names import STAGE_SEARCH, TrialState

if TYPE_CHECKING:
    from pathlib import Path

    from sweeps.remote.loading import Recorded
    from tracking.table import TrialRow

NUM_LINES = 30  # of a log


def describe_trial(recorded: Recorded, trial: TrialRow) -> list[str]:
    """Lines on how a trial stands, what it was trained with, why it ended, and how to run it alone.

    Args:
        recorded: Its sweep.
        trial: Which.
    """
    state = "runs" if trial.state is None else str(trial.state).replace("_", " ")
    stage = "" if trial.stage == STAGE_SEARCH else f", {trial.stage}"
    lines = [f"{trial.trial_id} of {recorded.sweep_id}: {state}, {trial.num_epochs} epochs recorded{stage}"]
    if trial.stop_reason:
        lines.append(f"why it ended: {trial.stop_reason}")
    best = recorded.table.value(trial)
    if best is not None:
        lines.append(f"best {recorded.table.goal_metric}: {best:.4f}")
    lines += ["settings:", *(f"  {name}: {value}" for name, value in trial.parameters.items())]
    if trial.state is TrialState.FAILED:
        lines += _read_log(recorded.folder.trial_log(trial.trial_id))
    if trial.link:
        lines.append(f"in MLflow: {trial.link}")
    command = shlex.join(["sweeps", "replay", trial.trial_id, "--sweep", recorded.sweep_id])
    return [*lines, f"run it alone: {command}"]


def _read_log(log: Path) -> list[str]:
    """The last lines of a trial's log."""
    try:
        text = log.read_text("utf-8", errors="backslashreplace")
    except OSError:
        return [f"its log is not here ({log}); it lies in the results folder of the machine that ran the sweep"]
    lines = text.rstrip().splitlines()
    head = f"the last {NUM_LINES} of {len(lines)} lines of {log}:" if len(lines) > NUM_LINES else f"{log}:"
    return [head, *(f"  {line}" for line in lines[-NUM_LINES:])]
