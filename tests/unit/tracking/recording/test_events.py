"""Lines of a journal: what is read is written again, byte for byte, with a checksum, and what is damaged is refused."""

import contextlib
import json
import zlib
from typing import Any

import pytest

from tracking.recording.events import Event

SWEEP = {
    "sweep_id": "s",
    "name": "n",
    "project": "p",
    "description": "",
    "sweep_file": "a: 1\n",
    "resolved": "a: 1\n",
    "manifest": {"versions": {"torch": "2"}, "plan": [1, 2]},
    "tags": {"k": "v"},
    "goal_metric": "val_accuracy",
    "goal": "maximize",
    "compare": "optimizer",
    "arms": ["sgd", "adam"],
    "searched": ["lr"],
    "notices": [],
}
TRIAL = {"trial_id": "sgd-000", "number": 0, "arm": "sgd", "stage": "search", "seed": 7, "parameters": {"lr": 0.1}}
METRICS = {"val_accuracy": 0.5, "val_loss": float("nan")}
MARKS: dict[str, Any] = {"marks": {"trial.health": "healthy"}, "summary": {"best_epoch": 2.0}}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("start_sweep", "", SWEEP),
    ("start_trial", "sgd-000", TRIAL),
    ("epoch", "sgd-000", {"epoch": 1, "metrics": METRICS}),
    ("epoch", "sgd-000", {"ended": True, "epoch": 2, "metrics": METRICS}),
    ("epoch", "sgd-000", {**MARKS, "epoch": 3, "metrics": METRICS}),
    ("pause", "sgd-000", {}),
    ("go_on", "sgd-000", {}),
    ("go_on", "sgd-000", {"donor_id": "sgd-001", "parameters": {"lr": 0.2}}),
    ("end_trial", "sgd-000", {"state": "early_stopped", "stop_reason": "ü", "metrics": {}, "marks": {"a": "b"}}),
    ("phase", "", {"phase": "stopping"}),
    ("end_sweep", "", {"state": "completed", "note": "# done", "artifacts": ["/a/report.html"]}),
    ("end_sweep", "", {"state": "failed", "note": "", "artifacts": [], "tags": {"sweep.verdict": "ü"}}),
]


def write(kind: str, trial_id: str, content: dict[str, Any]) -> bytes:
    fields = {"sequence": 3, "kind": kind, "time_ms": 1000, "trial_id": trial_id, "content": content}
    return json.dumps(fields).encode() + b"\n"


def with_checksum(line: bytes) -> bytes:
    """As lines are written since November 26, 2026."""
    text = line.rstrip()
    return text[:-1] + b', "crc": %d}\n' % zlib.crc32(text)


@pytest.mark.parametrize(("kind", "trial_id", "content"), CASES)
def test_a_line_that_was_read_is_written_byte_for_byte(kind: str, trial_id: str, content: dict[str, Any]) -> None:
    line = write(kind, trial_id, content)
    event = Event.from_line(line)
    assert event.to_line() == with_checksum(line)
    assert Event.from_line(event.to_line()).to_line() == event.to_line()
    assert (event.sequence, event.time_ms, event.what.kind, event.what.trial_id) == (3, 1000, kind, trial_id)


def test_an_end_from_before_there_were_marks_is_read() -> None:
    event = Event.from_line(write("end_trial", "t", {"state": "failed", "stop_reason": "", "metrics": {}}))
    written = write("end_trial", "t", {"state": "failed", "stop_reason": "", "metrics": {}, "marks": {}})
    assert event.to_line() == with_checksum(written)


@pytest.mark.parametrize(("kind", "trial_id", "content"), CASES)
def test_no_byte_of_a_line_changes_unseen(kind: str, trial_id: str, content: dict[str, Any]) -> None:
    event = Event.from_line(write(kind, trial_id, content))
    line = event.to_line()
    end = line.rindex(b', "crc"')
    for place in range(len(line) - 1):
        changed = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        if place < end:
            with pytest.raises(ValueError, match=r".+"):
                Event.from_line(changed)
        else:  # in the checksum itself, of which at most nothing is left that could be compared
            with contextlib.suppress(ValueError):
                assert Event.from_line(changed).to_line() == line


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        write("epoch", "t", {"metrics": {}}),
        write("epoch", "t", {"epoch": 1, "metrics": {"a": 10**400}}),
        b'{"sequence": 1e999, "kind": "pause", "time_ms": 1, "trial_id": "t", "content": {}}\n',
        b'{"sequence": ' + b"9" * 5000 + b', "kind": "pause", "time_ms": 1, "trial_id": "t", "content": {}}\n',
        write("end_trial", "t", {"state": "tired", "stop_reason": "", "metrics": {}}),
        write("a later kind", "t", {}),
        write("start_trial", "t", TRIAL | {"what": 1}),
        write("epoch", "t", {"epoch": 1, "metrics": {}})[:-20],
        b'{"sequence": 1, "kind": "pause", "time_ms": 1, "trial_id": "t"}\n',
        b'{"sequence": null, "kind": "pause", "time_ms": 1, "trial_id": "t", "content": {}}\n',
    ],
)
def test_a_line_that_says_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Event.from_line(line)
