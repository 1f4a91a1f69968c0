from __future__ import annotations

import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.recording.events import EpochRecorded, Event, PhaseNoted
from tracking.recording.journal import Journal, JournalBusy, is_held, read_phase


def add(journal: Journal, epoch: int = 1, text: str = "", loss: float = 0.5) -> Event:
    event = journal.build_event(1000, build_epoch(epoch, text, loss))
    journal.append(event)
    return event


def build_epoch(epoch: int, text: str = "", loss: float = 0.5) -> EpochRecorded:
    return EpochRecorded("t", epoch, {"val_loss": loss}, kept=True, tags={"text": text})


def reopen(journal: Journal) -> Journal:
    journal.close()
    return Journal(journal.path)


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file of this process grow further, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_events_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal.jsonl")
    events = [add(journal, epoch=1, text='line\nbreak "ü"'), add(journal, epoch=2, loss=math.inf)]

    again = reopen(journal)

    assert list(again.events) == events
    assert again.undelivered() == tuple(events)
    again.close()


def test_time_never_goes_back_in_a_journal_of_a_clock_that_was_set_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for time_ms in (1000, 5000, 1400, 1500, 4900, 9000, 8000):
        journal.append(journal.build_event(time_ms, build_epoch(1)))

    again = reopen(journal)

    assert [event.time_ms for event in again.events] == [1000, 5000, 5000, 5100, 8500, 12600, 12600]
    again.close()


def test_what_was_delivered_is_remembered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    events = [add(journal, epoch=epoch) for epoch in range(4)]
    journal.mark_delivered(events[1].sequence)

    again = reopen(journal)
    fresh = add(again, epoch=4)

    assert again.undelivered() == tuple(events[2:])
    assert fresh.sequence == events[-1].sequence + 1
    again.close()


def test_a_damaged_marker_means_sending_all_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    event = add(journal)
    journal.mark_delivered(event.sequence)
    (tmp_path / "j.delivered").write_text("")

    again = reopen(journal)

    assert again.undelivered() == (event,)
    again.close()


def test_only_one_process_holds_a_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")

    with pytest.raises(JournalBusy, match="another process is running this sweep"):
        Journal(tmp_path / "j")

    assert is_held(tmp_path / "j")
    journal.close()
    assert not is_held(tmp_path / "j")
    Journal(tmp_path / "j").close()


def test_no_journal_is_held_by_nobody(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "j")
    assert not (tmp_path / "j").exists()


def test_what_a_driver_was_asked_last_is_read_beside_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    add(journal, text="phase")
    assert read_phase(tmp_path / "j") == ""
    for phase in ("paused", ""):
        journal.append(journal.build_event(1000, PhaseNoted(phase)))
        assert read_phase(tmp_path / "j") == phase
    journal.close()


@given(num_lost=st.integers(1, 200))
def test_a_torn_last_line_costs_only_itself(num_lost: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        journal = Journal(path)
        events = [add(journal, epoch=epoch, loss=0.5) for epoch in range(4)]
        journal.close()
        whole = path.read_bytes()
        path.write_bytes(whole[:-num_lost])

        again = Journal(path)
        kept = list(again.events)
        fresh = add(again, epoch=99)
        last = reopen(again)

        assert kept == events[: len(kept)]
        assert len(kept) >= 4 - 1 - num_lost // (len(whole) // 4)
        assert list(last.events) == [*kept, fresh]
        last.close()


def test_a_full_disk_loses_nothing_once_there_is_room_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    events = [add(journal, epoch=1)]
    size = (tmp_path / "j").stat().st_size

    with largest_file(size + 30):
        for epoch in (2, 3):
            event = journal.build_event(1000, build_epoch(epoch))
            events.append(event)
            with pytest.raises(OSError, match=r".+"):
                journal.append(event)
    events.append(add(journal, epoch=4))

    again = reopen(journal)
    assert list(again.events) == events
    again.close()
