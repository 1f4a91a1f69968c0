"""Records a sweep in MLflow without ever making the driver wait.

A call stamps its event with the time, writes it to the journal on disk and returns; one thread sends what waits. While
MLflow is away events wait; what has not been sent when the process ends is sent by `deliver_journal`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracking.names import SweepState, TrialState
from tracking.recording.clock import Clock
from tracking.recording.delivery import Delivery
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    PhaseNoted,
    SweepEnded,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialPaused,
    TrialRecord,
    TrialResumed,
    TrialStarted,
)
from tracking.recording.journal import Journal, JournalBusy
from tracking.store.connection import (
    TrackingUnavailable,
    check_tracking,
    describe,
    hide_password,
    is_denial,
    short_retries,
)
from tracking.store.failures import advise_on
from tracking.store.runs import default_artifact_root

__all__ = [
    "JournalBusy",
    "Recorder",
    "SweepRecord",
    "TrackingUnavailable",
    "TrialRecord",
    "check_tracking",
    "deliver_journal",
]

LINGER_SECONDS = 0.5  # events of half a second go out together
MAX_EVENTS_AT_ONCE = 4000  # a call takes as long for several epochs of a trial: the more wait, the more go with each
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
CHECK_SECONDS = 15.0
REWRITE_SECONDS = 1.0  # how often a disk that was full is tried again

logger = logging.getLogger(__name__)


class Recorder:
    """Writes one sweep to MLflow from a thread of its own.

    No method waits for MLflow (but `flush` and `close`, as long as they are told to), and none raises. What the disk
    refuses is kept in memory, in order, and written when there is room; MLflow gets an event only once it is written.

    Args:
        tracking_uri: Where the sweep is recorded.
        journal: The sweep's journal, or its path.
        artifact_root: Where a new experiment keeps its artifacts; None for the usual place.

    Raises:
        JournalBusy: When another process is running this sweep.
        OSError: When the journal cannot be opened.
    """

    def __init__(self, tracking_uri: str, journal: Path | Journal, *, artifact_root: Path | None = None) -> None:
        self._uri = tracking_uri
        self._journal = journal if isinstance(journal, Journal) else Journal(journal)
        past = self._journal.events
        root = artifact_root or default_artifact_root(tracking_uri, self._journal.path)
        self._delivery = Delivery(tracking_uri, root, self._journal.path.parent, past=past)
        self._clock = Clock(past[-1].time_ms if past else 0)
        self._pending = deque(self._journal.undelivered())
        self._num_unwritten = 0  # of the pending ones, the last ones
        self._changed = threading.Condition()
        self._in_a_hurry = False
        self._closing = False
        self._closed = False
        self._num_denials = 0  # how often MLflow has said that this user may not
        self._problem: str | None = None
        self._journal_problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="mlflow-recorder", daemon=True)
        self._thread.start()

    @property
    def past(self) -> tuple[Event, ...]:
        """What earlier drivers of this sweep recorded, whether or not MLflow has got it."""
        return self._journal.events

    def now_ms(self) -> int:
        """Milliseconds since 1970, never before the sweep's last event."""
        return self._clock.now_ms()

    # Called by the driver

    def start_sweep(self, record: SweepRecord, *, time_ms: int | None = None) -> None:
        """Opens the parent run, again after a resume; runs of trials that a crash left open are closed.

        Args:
            record: Of the sweep.
            time_ms: When it started, in milliseconds since 1970; None for now.
        """
        self._add(SweepStarted(record), time_ms)

    def start_trial(self, record: TrialRecord) -> None:
        """Opens a trial's run, again after a resume."""
        self._add(TrialStarted(record))

    def record_epoch(
        self,
        trial_id: str,
        epoch: int,
        metrics: Mapping[str, float],
        *,
        ended: bool = False,
        tags: Mapping[str, str] | None = None,
        summary: Mapping[str, float] | None = None,
        time_ms: int | None = None,
    ) -> None:
        """Records one epoch; an epoch that is already recorded is left as it is.

        Args:
            trial_id: Whose.
            epoch: Counts from 1.
            metrics: Of the epoch.
            ended: Whether the trial ended by itself with it.
            tags: Of the trial, which a later driver has to know if it closes it; kept in the journal alone.
            summary: Metrics of the whole trial, kept likewise.
            time_ms: When it ended, in milliseconds since 1970; None for now.
        """
        is_kept = tags is not None or summary is not None
        what = EpochRecorded(
            trial_id, int(epoch), _to_floats(metrics), ended, is_kept, dict(tags or {}), dict(summary or {})
        )
        self._add(what, time_ms)

    def pause_trial(self, trial_id: str) -> None:
        """Notes in the journal that a trial waits, its state on the disk, until it has earned to go on."""
        self._add(TrialPaused(trial_id))

    def go_on_trial(self, trial_id: str, change: Mapping[str, Any]) -> None:
        """Notes in the journal that a trial that waited goes on, and what of it is different from then on."""
        self._add(TrialResumed(trial_id, change))

    def end_trial(
        self,
        trial_id: str,
        state: TrialState,
        stop_reason: str,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Closes a trial's run; `metrics` are those of the end, such as the test accuracy."""
        self._add(TrialEnded(trial_id, TrialState(state), stop_reason, _to_floats(metrics or {}), dict(tags or {})))

    def note_phase(self, phase: str) -> None:
        """Says what the sweep's driver was asked to do: "" | paused | stopping | cancelling."""
        self._add(PhaseNoted(phase))

    def end_sweep(
        self,
        state: str,
        note_markdown: str = "",
        artifacts: Sequence[Path] = (),
        tags: Mapping[str, str] | None = None,
        *,
        time_ms: int | None = None,
    ) -> None:
        """Closes the parent run and any trial still open; stores the files.

        Args:
            state: completed | interrupted | failed.
            note_markdown: Shown on the run's page; "" leaves what is there.
            artifacts: Files for the parent run; those of the sweep's folder are found there even after it has moved.
            tags: Of the parent run: the verdict.
            time_ms: When it ended, in milliseconds since 1970; None for now.
        """
        paths = tuple(self._name(Path(path).absolute()) for path in artifacts)
        self._add(SweepEnded(SweepState(state), note_markdown, paths, dict(tags or {})), time_ms)

    def end_cut_off_sweep(self) -> None:
        """Closes a sweep whose process was killed, as interrupted at the time of its last event."""
        events = self._journal.events
        if _was_cut_off(events):
            self._add(SweepEnded(SweepState.INTERRUPTED), events[-1].time_ms)

    def _name(self, path: Path) -> str:
        """A file of the sweep's folder by its place in there, so that the folder may be moved."""
        folder = self._journal.path.absolute().parent
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

    @property
    def pending(self) -> int:
        """Events that MLflow has not got yet."""
        return len(self._pending)

    @property
    def num_answers(self) -> int:
        """How often MLflow has taken something; it grows as long as things get on, also while nothing is whole yet."""
        return self._delivery.num_answers

    @property
    def problem(self) -> str | None:
        """One sentence on what keeps events from MLflow; None when all is well."""
        if self._problem or self._journal_problem:
            return self._journal_problem or self._problem
        refusals = self._delivery.refusals
        if not refusals:
            return None
        return refusals[0] + (f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else "")

    @property
    def num_unwritten(self) -> int:
        """Events that are in memory alone, since the disk takes none."""
        return self._num_unwritten

    @property
    def disk_problem(self) -> str:
        """One sentence on why events cannot be written to the journal; "" while they can."""
        return (self._journal_problem or "") if self._num_unwritten else ""

    def flush(self, timeout_seconds: float) -> bool:
        """Sends what waits, now; True when nothing is left.

        False when `timeout_seconds` were over first, or when MLflow denies this user access: waiting changes nothing.
        """
        with self._changed:
            num_denials = self._num_denials
            self._in_a_hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._pending or self._num_denials > num_denials, timeout_seconds)
            return not self._pending

    def flush_all(self) -> None:
        """Sends what waits, for as long as that gets on.

        Raises:
            TrackingUnavailable: When MLflow does not take it; it stays in the journal.
        """
        num_known = -1
        while self.pending and self.num_answers > num_known:
            num_known = self.num_answers
            self.flush(CHECK_SECONDS)
        if self.pending:
            raise TrackingUnavailable(self.problem or f"MLflow at {hide_password(self._uri)} is too slow; try again")

    def close(self, timeout_seconds: float) -> bool:
        """Flushes and ends the thread; True when everything was delivered. What was not stays in the journal."""
        deadline = time.monotonic() + timeout_seconds
        delivered = self.flush(timeout_seconds)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(max(1.0, deadline - time.monotonic()))
        return delivered

    def _add(self, what: Happening, time_ms: int | None = None) -> None:
        with self._changed:
            if self._closing:
                self._journal_problem = f"{what.kind} came after the recorder was closed and is not recorded"
                return
            event = self._journal.build_event(self.now_ms() if time_ms is None else time_ms, what)
            self._pending.append(event)
            self._num_unwritten += 1
            self._write(lambda: self._journal.append(event))
            self._changed.notify_all()

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._journal_problem = (
                f"{self._journal.path} cannot be written ({error.strerror}): "
                f"{self._num_unwritten} events are kept in memory and would be lost if this process ended"
            )
        else:
            self._num_unwritten, self._journal_problem = 0, None

    # The thread

    def _run(self) -> None:
        wait_seconds, num_attempts, num_events = FIRST_WAIT_SECONDS, 0, MAX_EVENTS_AT_ONCE
        while events := self._next_events(num_events):
            try:
                with short_retries():
                    self._delivery.deliver(events)
            except Exception as error:  # noqa: BLE001  # the border: nothing that goes wrong here may reach the driver
                self._delivery.reset()
                num_attempts += 1
                if _is_refusal(error) and len(events) > 1:
                    num_events = len(events) // 2  # look for the one that is refused
                    continue
                if _is_refusal(error) and num_attempts > 1:
                    self._refuse(events[0], error)
                else:
                    self._note_problem(error)
                    if self._pause(wait_seconds):
                        break
                    wait_seconds = min(2 * wait_seconds, LONGEST_WAIT_SECONDS)
                    continue
            wait_seconds, num_attempts = FIRST_WAIT_SECONDS, 0
            num_events = min(MAX_EVENTS_AT_ONCE, 4 * num_events)
            self._settle(events)
        with self._changed:
            if self._num_unwritten:
                self._write(self._journal.write)
            self._closed = True
            self._journal.close()
            self._changed.notify_all()

    def _next_events(self, num_events: int) -> list[Event]:
        """Waits for events, lets a few come together, returns the oldest; none when the recorder is closing."""
        with self._changed:
            while len(self._pending) == self._num_unwritten and not self._closing:
                self._changed.wait(REWRITE_SECONDS if self._num_unwritten else None)
                if self._num_unwritten:
                    self._write(self._journal.write)
            if not self._in_a_hurry:
                self._changed.wait_for(lambda: self._in_a_hurry or self._closing, LINGER_SECONDS)
            num_written = len(self._pending) - self._num_unwritten
            return [self._pending[index] for index in range(min(num_events, num_written))]

    def _settle(self, events: Sequence[Event]) -> None:
        """Keeps on disk how far MLflow has got."""
        self._journal.sync()
        try:
            self._journal.mark_delivered(events[-1].sequence)
        except OSError as error:
            logger.debug("%s: %s", self._journal.path, error)  # what is sent twice changes nothing
        with self._changed:
            if self._num_unwritten:
                self._write(self._journal.write)
            self._problem = None
            for _ in events:
                self._pending.popleft()
            if not self._pending:
                self._in_a_hurry = False
            self._changed.notify_all()

    def _refuse(self, event: Event, error: Exception) -> None:
        trial_id = event.what.trial_id
        what = f"{event.what.kind} of {trial_id}" if trial_id else event.what.kind
        self._delivery.refuse(f"MLflow refused {what}: {describe(error, self._uri)}")

    def _note_problem(self, error: Exception) -> None:
        num_waiting, denied = len(self._pending), is_denial(error)
        what = describe(error, self._uri) + (f"; {advise_on(str(error))}" if denied else "")
        self._problem = (
            f"MLflow at {hide_password(self._uri)} does not take what is recorded ({what}); "
            f"{num_waiting} event{'s' if num_waiting != 1 else ''} wait in {self._journal.path}"
        )
        with self._changed:
            self._num_denials += denied
            self._changed.notify_all()

    def _pause(self, seconds: float) -> bool:
        """Waits before the next attempt, less when somebody is in a hurry; True when the recorder is closing."""
        with self._changed:
            hurried = self._in_a_hurry
            self._changed.wait_for(
                lambda: self._closing or (self._in_a_hurry and not hurried), min(seconds, 1.0) if hurried else seconds
            )
            return self._closing


def deliver_journal(tracking_uri: str, journal_path: Path) -> int:
    """Sends what a sweep that no longer runs left behind, and closes its runs; returns the number of events sent.

    Does nothing while the sweep is running, or when there is no journal.

    Raises:
        TrackingUnavailable: When MLflow does not take them; they stay in the journal.
    """
    with open_ended(tracking_uri, journal_path) as ended:
        return ended.num_delivered if ended else 0


@dataclass(frozen=True)
class EndedSweep:
    """A sweep that no longer runs, all of whose events MLflow has.

    Attributes:
        recorder: Holds its journal.
        num_delivered: Events that MLflow has got only now.
    """

    recorder: Recorder
    num_delivered: int

    @property
    def lacks_result(self) -> bool:
        """Whether it is over, and ended without its report and its note: MLflow was away then."""
        end = self.recorder.past[-1].what
        return isinstance(end, SweepEnded) and end.state is not SweepState.INTERRUPTED and not end.artifacts

    def attach_result(self, note_markdown: str, artifacts: Sequence[Path], tags: Mapping[str, str]) -> None:
        """Stores report and note with the sweep's run, as its end would have done, at the time of its end.

        Raises:
            TrackingUnavailable: When MLflow does not take them; they are sent next time.
        """
        end = self.recorder.past[-1]
        assert isinstance(end.what, SweepEnded)
        self.recorder.end_sweep(end.what.state, note_markdown, artifacts, tags, time_ms=end.time_ms)
        self.recorder.flush_all()


@contextmanager
def open_ended(tracking_uri: str, journal_path: Path) -> Iterator[EndedSweep | None]:
    """Holds a sweep that no longer runs, after what it left behind was sent and its runs were closed.

    None while the sweep runs, or when there is no journal.

    Raises:
        TrackingUnavailable: When MLflow does not take what was left; it stays in the journal.
    """
    if not journal_path.exists():
        yield None
        return
    check_tracking(tracking_uri, CHECK_SECONDS)
    try:
        recorder = Recorder(tracking_uri, journal_path)
    except JournalBusy:
        yield None
        return
    try:
        num_events = recorder.pending
        recorder.end_cut_off_sweep()
        recorder.flush_all()
        yield EndedSweep(recorder, num_events)
    finally:
        recorder.close(0.0)


def _was_cut_off(events: Iterable[Event]) -> bool:
    """Whether the sweep's process ended without closing the sweep."""
    found = [event.what for event in events if isinstance(event.what, SweepStarted | SweepEnded)]
    return bool(found) and isinstance(found[-1], SweepStarted)


def _is_refusal(error: Exception) -> bool:
    """Whether MLflow answered, and would answer the same to the same call again."""
    code = getattr(error, "error_code", None)
    return code in {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"}


def _to_floats(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers."""
    floats = {}
    for key, value in metrics.items():
        try:
            floats[str(key)] = float(value)
        except (TypeError, ValueError):
            logger.warning("metric %s is not a number: %r", key, value)
    return floats
