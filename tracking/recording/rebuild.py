"""A damaged journal put together again: of what is left in it, what MLflow has, and what must have been. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from tracking import names
from tracking.names import LOST, STAGE_SEARCH, TrialState
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    SweepEnded,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialPaused,
    TrialResumed,
    TrialStarted,
)

Place = Fraction  # an event's number; between two numbers, of events that had to be put there
Placed = tuple[Place, int, Happening]  # with the time when it happened
_FIRST, _LAST = Fraction(0), Fraction(1 << 60)


class Rebuilt:
    """The events of a journal, each at its place.

    Args:
        known: What is left of it, in order.
        holes: The numbers that are missing.

    Attributes:
        slots: Places where there was an event of which nothing is known, in order.
        given_up: Trials that have failed now, since a part of them is lost.
        repeated: Trials of which so much is lost that they run again from their beginning.
        lacking: Trials that had failed, and may lack an epoch.
        num_found: Events that MLflow had.
        resumed: Places of ends of pauses that left nothing but traces.
    """

    def __init__(self, known: Sequence[Event], holes: Sequence[int]) -> None:
        self._events = {Place(event.sequence): (event.time_ms, event.what) for event in known}
        self._order = sorted(self._events)
        self.slots = [Place(hole) for hole in holes]
        self.given_up: list[str] = []
        self.repeated: list[str] = []
        self.lacking: list[str] = []
        self.num_found = 0
        self.resumed: list[Place] = []

    def in_order(self) -> list[Placed]:
        """All events with their places and times."""
        return [(place, *self._events[place]) for place in self._order]

    def by_trial(self) -> dict[str, list[Placed]]:
        """The events of each trial."""
        trials: dict[str, list[Placed]] = defaultdict(list)
        for event in self.in_order():
            if event[2].trial_id:
                trials[event[2].trial_id].append(event)
        return trials

    def put(self, what: Happening, time_ms: int, after: Place = _FIRST, before: Place = _LAST) -> Place:
        """Puts an event where one is missing; where none is, by its time.

        Args:
            what: What happened.
            time_ms: When.
            after: The place of what happened before.
            before: The place of what happened later.
        """
        free = self.slots[bisect_right(self.slots, after) : bisect_left(self.slots, before)]
        fitting = (place for place in free if self._bound(place)[0] <= time_ms <= self._bound(place)[1])
        place = next(fitting, next(iter(free), None))
        if place is None:
            place = self._make_place(time_ms, after, before)
        else:
            self.slots.remove(place)
            earliest_ms, latest_ms = self._bound(place)
            time_ms = min(max(time_ms, earliest_ms), latest_ms)
        insort(self._order, place)
        self._events[place] = time_ms, what
        return place

    def drop(self, places: Iterable[Place]) -> None:
        """Forgets events."""
        dropped = set(places)
        self._order = [place for place in self._order if place not in dropped]
        for place in dropped:
            del self._events[place]

    def give_up(self, trial_id: str, place: Place, reason: str) -> None:
        """Ends a trial as failed at a place, and forgets what is told of it from there on."""
        own = self.by_trial()[trial_id]
        kept = [each for each in own if each[0] < place]
        time_ms = next(time_ms for each, time_ms, _ in own if each >= place)
        self.drop(each for each, _, _ in own if each >= place)
        after = kept[-1][0] if kept else _FIRST
        self.put(TrialEnded(trial_id, TrialState.FAILED, f"{LOST}: {reason}"), time_ms, after, place + Place(1, 2))
        self.given_up.append(trial_id)

    def give_up_unsure(self) -> None:
        """Ends trials that have ended otherwise, as far as one can tell, after an epoch that is lost."""
        for trial_id, own in self.by_trial().items():
            for slot in self.slots:
                before = [event for event in own if event[0] < slot]
                after = [event for event in own if event[0] > slot]
                if before and after and _may_lack_epoch(before, after):
                    self._give_up_end(trial_id, before, after)
                    break

    def _give_up_end(self, trial_id: str, before: list[Placed], after: list[Placed]) -> None:
        last = after[-1][2]
        if isinstance(last, TrialEnded) and last.state is TrialState.FAILED:
            self.lacking.append(trial_id)
        else:
            epoch = sum(isinstance(what, EpochRecorded) for _, _, what in before) + 1
            self.give_up(trial_id, after[0][0], f"epoch {epoch} of this trial is lost")

    def list_lost(self) -> tuple[str, ...]:
        """Trials of which something is lost."""
        return (*self.given_up, *self.lacking, *self.repeated)

    def change(self, place: Place, what: Happening) -> None:
        """Says otherwise what happened."""
        self._events[place] = self._events[place][0], what

    def _bound(self, place: Place) -> tuple[int, int]:
        """The times between which an event happened."""
        index = bisect_left(self._order, place)
        earlier, later = self._order[:index][-1:], self._order[index : index + 1]
        return (
            self._events[earlier[0]][0] if earlier else 0,
            self._events[later[0]][0] if later else int(_LAST),
        )

    def _make_place(self, time_ms: int, after: Place, before: Place) -> Place:
        index = bisect_right(self._order, time_ms, key=lambda place: self._events[place][0])
        earlier = max(after, min(self._order[:index][-1:] or [_FIRST]))
        if earlier >= before:
            earlier = max(after, max(self._order[: bisect_left(self._order, before)][-1:] or [_FIRST]))
        later = self._order[bisect_right(self._order, earlier) :][:1] or [earlier + 2]
        return (earlier + min(later[0], before)) / 2


def rebuild(known: Sequence[Event], holes: Sequence[int], found: Sequence[Event]) -> Rebuilt:
    """Puts a journal together again.

    Args:
        known: What is left of it, in order.
        holes: The numbers that are missing.
        found: What MLflow has, in the order of its times.
    """
    rebuilt = Rebuilt(known, holes)
    told = _Told(rebuilt)
    turns = _list_turns(found)

    def turn(event: Event) -> tuple[int, bool, tuple[int, ...], tuple[int, int]]:
        is_last = isinstance(event.what, SweepEnded)
        return event.time_ms, is_last, turns.get(event.what.trial_id, ()), _rank(event.what)

    for event in sorted(found, key=turn):
        if told.lacks(event):
            told.put(event)
            rebuilt.num_found += 1
    _give_up_broken(rebuilt)
    _keep_best(rebuilt)
    _infer(rebuilt)
    return rebuilt


# What MLflow has


def _rank(what: Happening) -> tuple[int, int]:
    """The order of what happened to one trial."""
    match what:
        case SweepStarted():
            return 0, 0
        case TrialStarted():
            return 1, 0
        case EpochRecorded(epoch=epoch):
            return 2, epoch
        case TrialEnded():
            return 3, 0
    return 4, 0


def _list_turns(found: Sequence[Event]) -> dict[str, tuple[int, ...]]:
    """The order of trials that say nothing else of it: equal turns for all arms, the search before retrainings."""
    records = [event.what.record for event in found if isinstance(event.what, TrialStarted)]
    arms = next((event.what.record.arms for event in found if isinstance(event.what, SweepStarted)), ())
    return {
        record.trial_id: (record.stage != STAGE_SEARCH, record.number, arms.index(record.arm) + 1)
        for record in records
        if record.arm in arms
    }


class _Told:
    """What the journal says by now of each trial, and of the sweep."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        self._rebuilt = rebuilt
        self._by_trial = {trial_id: list(_drop_retried(own)) for trial_id, own in rebuilt.by_trial().items()}
        events = rebuilt.in_order()
        self._epochs = {(each.trial_id, each.epoch) for _, _, each in events if isinstance(each, EpochRecorded)}
        self._is_begun = bool(events) and isinstance(events[0][2], SweepStarted)
        last = [what for _, _, what in events if isinstance(what, SweepStarted | SweepEnded)][-1:]
        self._is_ended = bool(last) and isinstance(last[0], SweepEnded)
        self._last_ms = max((time_ms for _, time_ms, _ in events), default=0)

    def lacks(self, event: Event) -> bool:
        """Whether the journal does not say what MLflow says."""
        own = self._by_trial.get(event.what.trial_id, [])
        match event.what:
            case SweepStarted():
                return not self._is_begun
            case SweepEnded():
                return not self._is_ended and self._last_ms <= event.time_ms
            case EpochRecorded(trial_id, epoch):
                return (trial_id, epoch) not in self._epochs
            case TrialStarted():
                return not any(isinstance(what, TrialStarted) for _, _, what in own)
            case TrialEnded():
                is_latest = all(time_ms <= event.time_ms for _, time_ms, _ in own)
                return is_latest and not any(_is_end(what) for _, _, what in own)
        return False

    def put(self, event: Event) -> None:
        """Takes in what MLflow says."""
        after, before = self._find_neighbours(event.what)
        place = self._rebuilt.put(event.what, event.time_ms, after, before)
        if event.what.trial_id:
            insort(
                self._by_trial.setdefault(event.what.trial_id, []), (place, event.time_ms, event.what), key=_place_of
            )

    def _find_neighbours(self, what: Happening) -> tuple[Place, Place]:
        """The places between which something happened, as far as its trial's other events say."""
        places = [place for place, _, _ in self._rebuilt.in_order()] if not what.trial_id else []
        if isinstance(what, SweepStarted):
            return _FIRST, min(places, default=_LAST)
        if isinstance(what, SweepEnded):
            return max(places, default=_FIRST), _LAST
        rank, own = _rank(what), self._by_trial.get(what.trial_id, [])
        starts = [place for place, _, other in own if isinstance(other, TrialStarted)][1:]  # after a resume
        before = [place for place, _, other in own if _rank(other) < rank and place not in starts]
        after = [place for place, _, other in own if rank < _rank(other) and (_is_end(other) or _rank(other)[0] < 3)]
        earliest, latest = max(before, default=_FIRST), min(after, default=_LAST)
        if isinstance(what, EpochRecorded):
            return _narrow([event for event in own if earliest < event[0]], earliest, latest)
        return earliest, latest


def _drop_retried(own: list[Placed]) -> Iterator[Placed]:
    """A trial's events without the failures after which it was started once more."""
    last_start = max((place for place, _, what in own if isinstance(what, TrialStarted)), default=_FIRST)
    return (event for event in own if event[0] > last_start or not _is_end(event[2]))


def _narrow(own: list[Placed], earliest: Place, latest: Place) -> tuple[Place, Place]:
    """The places between which an epoch is, by the pauses around it: one comes before, the next with it.

    Args:
        own: Its trial's events after `earliest`.
        earliest: The place of the epoch before it, or of the trial's start.
        latest: The place of the next epoch, or of the trial's end.
    """
    pauses = [place for place, _, what in own if isinstance(what, TrialPaused) and place < latest]
    if len(pauses) > 1:
        latest = pauses[1]
    elif any(place == latest and isinstance(what, EpochRecorded) for place, _, what in own):
        return earliest, latest  # the pause may be of the epoch before, or of this one
    resumes = [place for place, _, what in own if isinstance(what, TrialResumed) and place < latest]
    return max(resumes, default=earliest), latest


def _place_of(event: Placed) -> Place:
    return event[0]


def _is_end(what: Happening) -> bool:
    """Whether a trial ended for good."""
    return isinstance(what, TrialEnded) and what.state is not TrialState.STOPPED


# What is lost


def _give_up_broken(rebuilt: Rebuilt) -> None:
    """Ends trials of which an epoch is lost; forgets those that nobody knows the settings of."""
    for trial_id, own in rebuilt.by_trial().items():
        if not isinstance(own[0][2], TrialStarted):
            rebuilt.drop(place for place, _, _ in own)
            rebuilt.repeated.append(trial_id)
        elif broken := _find_gap(own):
            epoch, place = broken
            rebuilt.give_up(trial_id, place, f"epoch {epoch} of this trial is lost")


def _find_gap(own: list[Placed]) -> tuple[int, Place] | None:
    """The first epoch of a trial that is missing, and the place of what is told next; None for a whole trial."""
    expected, is_seen = 1, False
    for place, _, what in own:
        if isinstance(what, EpochRecorded):
            if what.epoch > expected:
                return expected, place
            expected, is_seen = max(expected, what.epoch + 1), True
        elif isinstance(what, TrialPaused):
            if not is_seen:  # it pauses after an epoch
                return expected, place
            is_seen = False
    return None


# What must have been


def _keep_best(rebuilt: Rebuilt) -> None:
    """Adds a trial's best epoch so far to the epoch with which it waits, as MLflow has it from a trial's end on only.

    A copy of another trial also has the best epoch of that one, so nothing is added there.
    """
    for own in rebuilt.by_trial().values():
        best = math.nan
        best_epoch = 0
        last: tuple[Place, EpochRecorded] | None = None
        for place, _, what in own:
            if isinstance(what, EpochRecorded):
                value = what.metrics.get(names.VAL_ACCURACY, math.nan)
                if best_epoch == 0 or value > best:
                    best, best_epoch = value, what.epoch
                last = place, what
            elif isinstance(what, TrialEnded) or (isinstance(what, TrialResumed) and what.change):
                last = None
                break
        if last and not last[1].kept and not last[1].ended and math.isfinite(best):
            summary = {names.BEST_VAL_ACCURACY: best, names.BEST_EPOCH: float(best_epoch)}
            rebuilt.change(last[0], replace(last[1], kept=True, summary=summary))


def _infer(rebuilt: Rebuilt) -> None:
    """Adds what left traces: the starts of drivers, pauses, and their ends (whose change of settings is not known)."""
    record: SweepRecord | None = None
    opened: set[str] = set()  # trials whose run the driver has opened
    waiting: dict[str, bool] = {}  # whether a trial pauses
    is_driven, last_place, places = False, _FIRST, dict[str, Place]()
    for place, time_ms, what in rebuilt.in_order():
        trial_id = what.trial_id
        is_new = isinstance(what, TrialStarted) and trial_id in opened
        if trial_id and record is not None and (is_new or not is_driven):
            rebuilt.put(SweepStarted(record), time_ms, last_place, place)
            opened, is_driven = set(), True
        for missing in _find_traces(what, is_waiting=waiting.get(trial_id, False)):
            put = rebuilt.put(missing, time_ms, places.get(trial_id, last_place), place)
            if isinstance(missing, TrialResumed):
                rebuilt.resumed.append(put)
        match what:
            case SweepStarted(record):
                opened, is_driven = set(), True
            case SweepEnded():
                is_driven = False
            case TrialStarted():
                opened.add(trial_id)
            case TrialPaused():
                waiting[trial_id] = True
            case EpochRecorded() | TrialResumed():
                waiting[trial_id] = False
        last_place = places[trial_id] = place


def _find_traces(what: Happening, *, is_waiting: bool) -> Iterator[Happening]:
    """Yields what must have happened to a trial before."""
    if isinstance(what, TrialResumed) and not is_waiting:
        yield TrialPaused(what.trial_id)
    if isinstance(what, EpochRecorded | TrialPaused) and is_waiting:
        yield TrialResumed(what.trial_id, {})


def _may_lack_epoch(before: list[Placed], after: list[Placed]) -> bool:
    """Whether a trial that has ended may have ended an epoch where an event is missing.

    Else its last epoch says that the trial ended with it, or was told to; or the trial waits, or another epoch follows.
    """
    if any(isinstance(what, EpochRecorded | TrialResumed) for _, _, what in after) or not _is_end(after[-1][2]):
        return False
    last = next((what for _, _, what in reversed(before) if not isinstance(what, TrialStarted)), None)
    return not (isinstance(last, EpochRecorded) and (last.ended or last.kept)) and not isinstance(last, TrialPaused)


def name_lost(numbers: Sequence[int]) -> str:
    """`7, 9 to 12`."""
    parts: list[list[int]] = []
    for before, number in pairwise((-1, *sorted(numbers))):
        if parts and number == before + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join(" to ".join(map(str, dict.fromkeys(part))) for part in parts)
