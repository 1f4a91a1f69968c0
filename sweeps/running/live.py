"""What a person sees while a sweep runs: a table that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import statistics
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sweeps.running.preparation import Preparation
from sweeps.running.progress import MAX_RUNNING, build_sparkline, tell_failures
from sweeps.running.sweep import Listener, RunningSweep, TrialEvent
from sweeps.spec.arms import constant_of, num_confirm_trials
from sweeps.stopping.rules import RULES
from sweeps.terminal import PlainConsole
from sweeps.trials.ledger import TrialEntry
from tracking.analysis.labels import format_duration
from tracking.names import STAGE_SEARCH, STAGES, STATE_RUNNING, TrialState

if TYPE_CHECKING:
    from sweeps.trials.ledger import Ledger

ENDING = "ending: what runs is closed and the report written; Ctrl+C (once more) ends at once"
_NUM_EVENTS = 5
_MAX_ID = 40  # characters of a trial's id that move what stands beside it
_MAX_RUNGS = 5  # of which the view tells
_WORDS = {
    TrialState.COMPLETED: ("done", "green"),
    TrialState.EARLY_STOPPED: ("stopped early", "yellow"),
    TrialState.DIVERGED: ("diverged", "magenta"),
    TrialState.FAILED: ("failed", "red"),
    TrialState.STOPPED: ("stopped", "yellow"),
}


class View(ABC):
    """Listens to a sweep between entering and leaving it.

    Attributes:
        preparation: Shows what is done before the first trial.
    """

    preparation: Preparation

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def __call__(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Takes in an event; must not wait."""


def build_view(console: PlainConsole) -> View:
    """The table on a terminal, lines where the output is a file or a pipe."""
    return TableView(console) if console.is_terminal else LineView(console)


def log_to(path: Path) -> Listener:
    """A listener that adds lines to a file; a disk that is full or gone is no reason to end a sweep."""
    buffer = io.StringIO()
    view = LineView(PlainConsole(buffer, width=200, is_text=True))

    def listen(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        view(sweep, entry, event)
        if text := buffer.getvalue():
            buffer.seek(0)
            buffer.truncate()
            add_to_log(path, text)

    return listen


def add_to_log(path: Path, text: str) -> None:
    """Adds lines to a file, if the disk takes them."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until a sweep ends: what is expected, and its limits to both sides (twice its standard error)."""

    seconds: float
    error: float

    def __str__(self) -> str:
        """In words."""
        low, high = (format_duration(max(0.0, self.seconds + sign * self.error)) for sign in (-1, 1))
        about = format_duration(self.seconds)
        return f"time left about {about}" if low == high else f"time left about {about} ({low} to {high})"


def estimate_time_left(
    ledger: Ledger, num_trials: Mapping[str, int | None], num_confirm: int, slots: int
) -> TimeLeft | None:
    """When a sweep will end, from the trials that ended so far; None while that cannot be said.

    Args:
        ledger: The trials so far.
        num_trials: Search trials of each arm, None where unknown.
        num_confirm: Retrainings of each arm.
        slots: Trials that run at a time.
    """
    ended = [entry for entry in ledger.select() if entry.ended and entry.epoch]
    per_trial = [entry.train_seconds for entry in ended if entry.stage == STAGE_SEARCH]
    limits = [num_trials[arm] for arm in ledger.arms]
    if not per_trial or None in limits:
        return None
    mean_trial = statistics.fmean(per_trial)
    mean_epoch = statistics.fmean(entry.train_seconds / entry.epoch for entry in ended)
    longest = max(entry.epoch for entry in ended)
    seconds = num_open = 0.0
    for arm in ledger.arms:
        search = list(ledger.select(arm, STAGE_SEARCH))
        spent = sum(entry.train_seconds for entry in search if not entry.ended)
        open_trials = (num_trials[arm] or 0) - sum(entry.ended for entry in search)
        seconds += max(0.0, open_trials * mean_trial - spent)
        num_open += max(0, open_trials)
        confirms = [entry for entry in ledger.select(arm) if entry.stage != STAGE_SEARCH]
        done_epochs = sum(longest if entry.ended else entry.epoch for entry in confirms)
        seconds += max(0.0, num_confirm * longest - done_epochs) * mean_epoch
    # Both the mean of those that ended and the sum of those to come are uncertain by what one trial differs.
    one = statistics.stdev(per_trial) if len(per_trial) > 1 else mean_trial
    error = 2 * one * math.sqrt(num_open**2 / len(per_trial) + num_open)
    return TimeLeft(seconds / slots, error / slots)


@dataclass
class LineView(View):
    """One line per trial that ends and per problem: readable in a log file."""

    console: PlainConsole
    _problem: str | None = None
    _is_disk_full: bool = False
    _has_told_of_end: bool = False
    _is_held: bool = False
    _has_told_what_was_found: bool = False

    def __post_init__(self) -> None:
        self.preparation = Preparation(self._say)

    def _say(self, sentence: str) -> None:
        """Shows what concerns the sweep."""
        self.console.print(sentence, soft_wrap=True)

    def _show_trial(self, sweep: RunningSweep, entry: TrialEntry, event: TrialEvent) -> None:
        """Shows what happened to a trial, if it is worth a line."""
        if event in (TrialEvent.ENDED, TrialEvent.RECOVERED):
            self.console.print(_event_line(sweep, entry, event), soft_wrap=True)

    def __call__(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Prints what is worth a line."""
        if sweep.found and not self._has_told_what_was_found:
            self._has_told_what_was_found = True
            self._say(sweep.found)
        if entry is not None:
            self._show_trial(sweep, entry, event)
        problem = sweep.recorder.problem
        if bool(sweep.held) != self._is_held:
            self._is_held = bool(sweep.held)
            self._say(sweep.held or "there is room on the disk again: the sweep goes on")
        if _kind_of(problem) != _kind_of(self._problem) and not sweep.held:
            self._problem = problem
            self._say(f"MLflow: {problem if problem else 'reached again'}")
        if bool(sweep.full_disk) != self._is_disk_full:
            self._is_disk_full = bool(sweep.full_disk)
            self._say(describe_full_disk(sweep) or "disk: no trial waits for room any more")
        if sweep.interrupted and not self._has_told_of_end:
            self._has_told_of_end = True
            self._say(ENDING)


@dataclass
class EventView(LineView):
    """One JSON object a line for each event, with the words of `list_changes`; for other programs."""

    _sweep_id: str = ""

    def _say(self, sentence: str) -> None:
        self._write("message", text=sentence)

    def _show_trial(self, sweep: RunningSweep, entry: TrialEntry, event: TrialEvent) -> None:
        facts: dict[str, object] = {"trial": entry.trial_id, "arm": entry.arm, "stage": entry.stage}
        if event is TrialEvent.STARTED:
            facts["parameters"] = dict(entry.parameters)
        if event is TrialEvent.EPOCH:
            facts |= {"epoch": entry.epoch, sweep.spec.metric.name: _or_none(entry.last_score)}
        if event is TrialEvent.ENDED:
            facts |= {"state": entry.state, "epoch": entry.epoch, "best": _or_none(entry.best_score)}
            facts["reason"] = entry.stop_reason
        self._write(event, **facts)

    def __call__(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Writes what happened."""
        if self._sweep_id != sweep.sweep_id:
            self._sweep_id = sweep.sweep_id
            self._write("sweep", sweep_id=sweep.sweep_id, state=STATE_RUNNING)
        super().__call__(sweep, entry, event)

    def _write(self, event: str, **facts: object) -> None:
        self.console.file.write(json.dumps({"event": event, **facts}) + "\n")
        self.console.file.flush()


@dataclass
class TableView(View):
    """A row per arm, the last events under it, redrawn four times a second by a thread of its own."""

    console: PlainConsole
    _live: Live | None = None
    _sweep: RunningSweep | None = None
    _events: deque[Text] = field(default_factory=lambda: deque(maxlen=_NUM_EVENTS))
    _started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.preparation = Preparation(self._say, tells_of_long_steps=False)

    def _say(self, line: str) -> None:
        self.console.print(line)  # above the table, which is drawn anew under it

    def __enter__(self) -> Self:
        """Draws the table."""
        self._live = Live(
            get_renderable=self._render,
            console=self.console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,  # what libraries print stays off the terminal
            redirect_stderr=False,
        )
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the table down; the leaderboard follows in its place."""
        if self._live is not None:
            self._live.stop()

    def __call__(self, sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        """Takes note; the thread draws."""
        if self._sweep is None and sweep.found:
            self._events.append(Text(sweep.found))
        self._sweep = sweep
        if entry is None or event not in (TrialEvent.ENDED, TrialEvent.RECOVERED):
            return
        if entry.state is not TrialState.FAILED:  # those are counted, each reason once
            self._events.append(_event_line(sweep, entry, event))

    def _render(self) -> RenderableType:
        elapsed = time.monotonic() - self._started
        if self._sweep is None:
            running = "\n".join(step.describe() for step in self.preparation.running)
            return Text(running or f"preparing … {elapsed:.0f} s", style="dim")
        sweep = self._sweep
        failures = tell_failures(entry.stop_reason for entry in sweep.ledger.failed())
        return Group(build_status_table(sweep), self._footer(sweep), *list_running(sweep), *failures, *self._events)

    def _footer(self, sweep: RunningSweep) -> Text:
        num_confirm = num_confirm_trials(sweep.spec)
        left = estimate_time_left(sweep.ledger, sweep.num_trials, num_confirm, sweep.slots)
        text = Text.assemble(
            f"{sweep.sweep_id} · elapsed {format_duration(sweep.elapsed_seconds())} · ",
            "time left: after the first trials" if left is None else str(left),
        )
        if rungs := describe_rungs(sweep):
            text.append(f"\n{rungs}")
        if sweep.held:
            text.append(f"\n{sweep.held}", style="red")
        if sweep.recorder.problem and not sweep.held:
            text.append(f"\nMLflow: {sweep.recorder.problem} ({sweep.recorder.pending} events kept)", style="red")
        if sweep.interrupted:
            text.append(f"\n{ENDING}", style="red")
        if full_disk := describe_full_disk(sweep):
            text.append(f"\n{full_disk}", style="red")
        if sweep.halted:
            text.append(f"\n{sweep.halted}: no new trials", style="red")
        return text


def _kind_of(problem: str | None) -> str | None:
    """A problem without its numbers: that one event more waits is no new one."""
    return None if problem is None else re.sub(r"\d+", "#", problem)


def describe_full_disk(sweep: RunningSweep) -> str:
    """One sentence on a trial that waits for room on a disk; "" while none does."""
    return f"disk: {sweep.full_disk}; free some room, and it goes on by itself" if sweep.full_disk else ""


def describe_rungs(sweep: RunningSweep) -> str:
    """How many of each arm's search trials have come to each rung of its rule; "" where there are none."""
    rule = sweep.spec.early_terminate
    rungs = () if rule is None else rule.rungs(int(constant_of(sweep.spec, "epochs")))[:_MAX_RUNGS]
    if not rungs:
        return ""
    reached = []
    for arm in sweep.ledger.arms:
        at = [entry.epoch for entry in sweep.ledger.select(arm, STAGE_SEARCH)]
        reached.append(f"{arm} {'/'.join(str(sum(epoch >= rung for epoch in at)) for rung in rungs)}")
    return f"came to epoch {'/'.join(map(str, rungs))}: {', '.join(reached)}"


def build_status_table(sweep: RunningSweep) -> Table:
    """A row per arm: how its trials stand and its best score so far."""
    spec, ledger = sweep.spec, sweep.ledger
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")  # for 80 columns
    table.add_column(", ".join(spec.compare) or "sweep", no_wrap=True)
    pauses = spec.early_terminate is not None and RULES[spec.early_terminate.type].pauses
    for column in ("trials", "runs", *(["wait"] if pauses else []), "done", "early", "div.", "fail"):
        table.add_column(column, justify="right")
    table.add_column(spec.metric.name, no_wrap=True)
    table.add_column("trend", no_wrap=True)
    table.add_column("again", justify="right")  # retrained
    num_confirm = num_confirm_trials(spec)
    leader = ledger.best()
    for arm in ledger.arms:
        num_trials, num_open = ledger.num_proposed(arm), ledger.count(arm, None)
        num_active = Counter(entry.stage for entry in ledger.active if entry.arm == arm)
        states = (TrialState.COMPLETED, TrialState.EARLY_STOPPED, TrialState.DIVERGED, TrialState.FAILED)
        best = ledger.best(arm)
        score = "" if best is None else f"{best.best_score:.4f} {best.trial_id.removeprefix(f'{arm}-')}"
        table.add_row(
            arm,
            f"{num_trials}/{sweep.num_trials[arm] or '?'}",
            str(num_active.total()),
            *([str(num_open - num_active[STAGE_SEARCH])] if pauses else []),
            *(str(ledger.count(arm, state)) for state in states),
            Text(score, style="bold green" if best is not None and best is leader else ""),
            build_sparkline(_list_best_so_far(ledger, arm)),
            f"{_count_retrained(ledger, arm)}/{num_confirm}",
        )
    return table


def _list_best_so_far(ledger: Ledger, arm: str) -> list[float]:
    """The best score of an arm's search after each trial that ended with one, in the order of their ends."""
    ended = [entry for entry in ledger.select(arm, STAGE_SEARCH) if entry.ended and math.isfinite(entry.best_score)]
    scores = (entry.best_score for entry in sorted(ended, key=lambda entry: entry.ended_as))
    return list(accumulate(scores, lambda best, score: ledger.goal.best((best, score))))


def list_running(sweep: RunningSweep) -> list[Text]:
    """A line for each trial that runs: how far it is, and its last score; of many the first."""
    running, width = sweep.ledger.active, _measure_ids(sweep)
    lines = []
    for entry in running[:MAX_RUNNING]:
        line = (
            f"{'runs':>13}  {entry.trial_id:<{width}} epoch {entry.epoch:>3} of {entry.parameters.get('epochs', '?')}"
        )
        scored = math.isfinite(entry.last_score)
        lines.append(Text(f"{line}  {sweep.spec.metric.name} {entry.last_score:.4f}" if scored else line))
    more = len(running) - MAX_RUNNING
    return [*lines, Text(f"{'':>13}  and {more} more")] if more > 0 else lines


def _measure_ids(sweep: RunningSweep) -> int:
    """The width of the column of trial ids, so that what follows stands in line."""
    return min(_MAX_ID, max(map(len, sweep.ledger.arms), default=0) + len("-confirm-00"))


def _count_retrained(ledger: Ledger, arm: str) -> int:
    stages = (stage for stage in STAGES if stage != STAGE_SEARCH)
    return sum(ledger.count(arm, TrialState.COMPLETED, stage) for stage in stages)


def _or_none(score: float) -> float | None:
    """A score as JSON has it."""
    return score if math.isfinite(score) else None


def _event_line(sweep: RunningSweep, entry: TrialEntry, event: TrialEvent) -> Text:
    if event is TrialEvent.RECOVERED:
        return Text(f"{entry.trial_id}: its process was lost; it goes on from its last checkpoint", style="red")
    assert entry.state is not None
    word, style = _WORDS[entry.state]
    line = Text.assemble((f"{word:>13}", style), f"  {entry.trial_id:<{_measure_ids(sweep)}} epoch {entry.epoch:>3}")
    if math.isfinite(entry.best_score):
        line.append(f"  {sweep.spec.metric.name} {entry.best_score:.4f}")
    if "test_accuracy" in entry.summary:
        line.append(f"  test_accuracy {entry.summary['test_accuracy']:.4f}", style="bold")
    line.append(f"  ({sweep.ledger.num_ended} ended)  {entry.stop_reason}", style="dim")
    return line
