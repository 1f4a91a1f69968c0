"""How a sweep stands that runs elsewhere, from what is recorded of it: tables, lines, and events for programs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tracking.names import STAGE_SEARCH, TrialState
from tracking.ranking import Goal
from tracking.table import SweepTable, TrialRow

MAX_RUNNING = 6  # trials in the table, so that it fits into 24 lines
MAX_REASONS = 3
SPARK_WIDTH = 6
_BARS = "▁▂▃▄▅▆▇█"
_STATES = (TrialState.COMPLETED, TrialState.EARLY_STOPPED, TrialState.DIVERGED, TrialState.FAILED)
_HEADS = ("done", "early", "diverged", "failed")


def build_sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """The last `width` numbers as bars between their least and their greatest; of equal ones the lowest bar."""
    shown = values[-width:]
    if not shown:
        return ""
    low, spread = min(shown), max(shown) - min(shown)
    places = ((value - low) / spread if spread else 0.0 for value in shown)
    return "".join(_BARS[min(int(place * len(_BARS)), len(_BARS) - 1)] for place in places)


def list_best_so_far(table: SweepTable, arm: str) -> list[float]:
    """The best score of an arm's search after each trial that ended with one, in the order of their ends."""
    goal = Goal(table.goal)
    ended = [each for each in table.trials if each.arm == arm and each.stage == STAGE_SEARCH and each.end_time]
    scores = (table.value(each) for each in sorted(ended, key=lambda each: each.end_time or 0.0))
    best: list[float] = []
    for score in scores:
        if score is not None:
            best.append(goal.best((best[-1], score)) if best else score)
    return best


def render_progress(table: SweepTable) -> RenderableType:
    """A row for each arm, the trials that run, and each reason of failures once."""
    return Group(_render_arms(table), *_list_running(table), *list_failures(table))


def _render_arms(table: SweepTable) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column(table.compare or "sweep", no_wrap=True)
    for head in ("runs", *_HEADS):
        shown.add_column(head, justify="right")
    shown.add_column(f"best {table.goal_metric}")
    shown.add_column("so far", no_wrap=True)
    for arm in table.arms:
        trials = [each for each in table.trials if each.arm == arm]
        counts = Counter(each.state for each in trials)
        best = list_best_so_far(table, arm)
        numbers = (str(counts[state]) for state in (None, *_STATES))
        shown.add_row(arm, *numbers, f"{best[-1]:.4f}" if best else "", build_sparkline(best))
    return shown


def _list_running(table: SweepTable) -> Iterator[Text]:
    running = [each for each in table.trials if each.state is None]
    for trial in running[:MAX_RUNNING]:
        value = _latest(table, trial)
        score = "" if value is None else f"  {table.goal_metric} {value:.4f}"
        epochs = trial.parameters.get("epochs", "?")
        yield Text(f"{'runs':>13}  {trial.trial_id:<16} epoch {trial.num_epochs:>3} of {epochs}{score}")
    if len(running) > MAX_RUNNING:
        yield Text(f"{'':>13}  and {len(running) - MAX_RUNNING} more")


def _latest(table: SweepTable, trial: TrialRow) -> float | None:
    points = trial.history.get(table.goal_metric, ())
    return points[-1][1] if points else None


def list_failures(table: SweepTable) -> list[Text]:
    """As `tell_failures`, of what is recorded."""
    return tell_failures(each.stop_reason for each in table.trials if each.state is TrialState.FAILED)


def tell_failures(failures: Iterable[str]) -> list[Text]:
    """A line for each reason that trials failed for, with their number; the most frequent first.

    Args:
        failures: The reason of each trial that failed.
    """
    reasons = Counter(failures)
    lines = [Text(f"failed {number} × {reason}", style="red") for reason, number in reasons.most_common(MAX_REASONS)]
    more = len(reasons) - MAX_REASONS
    return [*lines, Text(f"and {more} other reasons", style="red")] if more > 0 else lines


def list_changes(before: SweepTable | None, after: SweepTable) -> Iterator[dict[str, Any]]:
    """Yields an event for each trial that began, each epoch, each trial that ended, and the sweep's own state.

    Args:
        before: What was recorded at the last look; None at the first, of which everything is new.
        after: What is recorded now.
    """
    known = {} if before is None else {each.trial_id: each for each in before.trials}
    for trial in after.trials:
        old = known.get(trial.trial_id)
        common = {"trial": trial.trial_id, "arm": trial.arm, "stage": trial.stage}
        if old is None:
            yield {"event": "started", **common, "parameters": dict(trial.parameters)}
        for epoch, value in trial.history.get(after.goal_metric, ()):
            if old is None or epoch > old.num_epochs:
                yield {"event": "epoch", **common, "epoch": epoch, after.goal_metric: value}
        if trial.state is not None and (old is None or old.state is None):
            ended = {"state": str(trial.state), "epoch": trial.num_epochs, "best": after.value(trial)}
            yield {"event": "ended", **common, **ended, "reason": trial.stop_reason}
    if before is None or before.state != after.state:
        yield {"event": "sweep", "sweep_id": after.sweep_id, "state": after.state}
