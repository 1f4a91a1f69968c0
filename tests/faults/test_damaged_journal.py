"""A journal that was damaged: a resume says so, repairs it from MLflow, and gives up only what nobody has."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checker import check_sweep
from played_sweep import SWEEP_ID, drive_sweep, record_sweep

from sweeps.home import Home
from sweeps.running.repair import open_journal
from tracking.names import LOST, TrialState
from tracking.recording.events import JournalRepaired, SweepStarted
from tracking.recording.journal import Journal
from tracking.recording.recorder import Recorder
from tracking.store.connection import TrackingUnavailable
from tracking.store.queries import load_sweep

Damage = Callable[[list[bytes], int], None]
RULES = ("asha", "asha_promotion", "pbt")


def replaced(change: Callable[[bytes], bytes]) -> Damage:
    def spoil(lines: list[bytes], index: int) -> None:
        lines[index] = change(lines[index])

    return spoil


def swap(lines: list[bytes], index: int) -> None:
    other = index - 1 if index else 1
    lines[index], lines[other] = lines[other], lines[index]


def join(lines: list[bytes], index: int) -> None:
    """Half of a line, and the next one after it."""
    lines[index] = lines[index][: len(lines[index]) // 2]


def change_byte(line: bytes) -> bytes:
    """One that may well leave JSON behind."""
    place = len(line) // 2
    return line[:place] + (b"7" if line[place : place + 1] != b"7" else b"3") + line[place + 1 :]


DAMAGES: dict[str, Damage] = {
    "no JSON": replaced(lambda _: b"\x93NUMPY{]\n"),
    "half a line": replaced(lambda line: line[: len(line) // 2] + b"\n"),
    "half a line before another": join,
    "missing": replaced(lambda _: b""),
    "doubled": replaced(lambda line: 2 * line),
    "swapped": swap,
    "zeros in its place": replaced(lambda line: bytes(len(line))),
    "zeros before it": replaced(lambda line: bytes(99) + line),
    "a byte that changed": replaced(change_byte),
    "other JSON": replaced(lambda _: b'{"sequence": true, "kind": "epoch"}\n'),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The results folder of a sweep under a rule, made once."""
    made: dict[str, Path] = {}

    def get(rule: str) -> Path:
        if rule not in made:
            made[rule] = tmp_path_factory.mktemp(rule)
            record_sweep(Home(made[rule]), rule)
        return made[rule]

    return get


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def copy(recorded: Callable[[str], Path], rule: str, to: Path) -> Home:
    return Home(Path(shutil.copytree(recorded(rule), to)))


def read_lines(home: Home) -> list[bytes]:
    return home.folder(SWEEP_ID).journal.read_bytes().splitlines(keepends=True)


def write_lines(home: Home, lines: list[bytes]) -> None:
    home.folder(SWEEP_ID).journal.write_bytes(b"".join(lines))


def cut(recorded: Callable[[str], Path], rule: str, to: Path, number: int, *, delivered: bool) -> Home:
    """What there was after so many events: a driver was killed then, MLflow away from the start or not."""
    home = Home(Path(shutil.copytree(recorded(rule), to, ignore=shutil.ignore_patterns("mlflow.db*", "artifacts"))))
    folder = home.folder(SWEEP_ID)
    for name in ("journal.jsonl.delivered", "report.html", "trials.csv"):
        (folder.path / name).unlink()
    write_lines(home, read_lines(home)[:number])
    if delivered:
        assert Recorder(home.tracking_uri, folder.journal).close(60.0)
    return home


def show(home: Home) -> dict[str, Any]:
    """All that a sweep came to; as text, since NaN does not equal itself."""
    trials = load_sweep(SWEEP_ID, home.tracking_uri).trials
    facts = ("state", "stop_reason", "seed", "parameters", "history", "summary")
    return {trial.trial_id: repr([_order(getattr(trial, fact)) for fact in facts]) for trial in trials}


def _order(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, dict) else value


def list_repairs(home: Home) -> list[JournalRepaired]:
    journal = Journal(home.folder(SWEEP_ID).journal)
    journal.close()
    assert not journal.is_damaged
    return [event.what for event in journal.events if isinstance(event.what, JournalRepaired)]


def assert_whole_or_told(home: Home, whole: dict[str, Any]) -> None:
    """The result agrees with itself, and equals the whole one but for trials that are named."""
    check_sweep(home, SWEEP_ID)
    table, found, repairs = load_sweep(SWEEP_ID, home.tracking_uri), show(home), list_repairs(home)
    for repair in repairs:
        assert repair.sentence in table.notices, "the report says it"
    lost = [trial for repair in repairs for trial in repair.trials]
    assert sorted(found) == sorted(whole), "no trial is missing, none is there twice"
    differing = {trial for trial in whole if found[trial] != whole[trial]}
    if not lost:
        assert not differing, {trial: (found[trial], whole[trial]) for trial in differing}
    for trial in table.trials:
        if trial.state is TrialState.FAILED and trial.trial_id != "sgd-003":
            assert trial.stop_reason.startswith(LOST)
            assert any(trial.trial_id in repair.sentence for repair in repairs)


def damage(home: Home, index: int, name: str) -> None:
    lines = read_lines(home)
    before = b"".join(lines)
    DAMAGES[name](lines, index)
    write_lines(home, lines)
    assert b"".join(lines) != before


def go_on(home: Home, whole: dict[str, Any], case: str) -> None:
    """Resumes a sweep, and looks at what it has come to."""
    try:
        drive_sweep(home)
        assert_whole_or_told(home, whole)
    except BaseException as error:
        error.add_note(case)
        raise


@pytest.mark.parametrize(
    ("rule", "step"),
    [("asha_promotion", 24), *(pytest.param(rule, 1, marks=pytest.mark.thorough_fault) for rule in RULES)],
)
def test_of_a_sweep_that_mlflow_has_every_line_may_be_damaged(
    rule: str, step: int, recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    whole, length = show(Home(recorded(rule))), len(read_lines(Home(recorded(rule))))
    for index in range(0, length, step):
        name = list(DAMAGES)[index % len(DAMAGES)]
        home = copy(recorded, rule, tmp_path / f"{index}")
        damage(home, index, name)
        spoilt = home.folder(SWEEP_ID).journal.read_bytes()
        go_on(home, whole, f"line {index + 1}, {name}")
        (repair,) = list_repairs(home)
        assert not repair.trials, "MLflow has all of it"
        assert (home.folder(SWEEP_ID).path / "journal.damaged-1.jsonl").read_bytes() == spoilt
        shutil.rmtree(home.path)


@pytest.mark.parametrize(
    ("rule", "delivered", "num_cases"),
    [
        ("asha", False, 2),
        ("asha_promotion", True, 2),
        *(
            pytest.param(rule, delivered, 25, marks=pytest.mark.thorough_fault)
            for rule in RULES
            for delivered in (True, False)
        ),
    ],
)
def test_a_driver_is_killed_and_lines_of_its_journal_are_damaged(
    rule: str, delivered: bool, num_cases: int, recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    """What MLflow has is put back; what it has not costs at most the trials that are named."""
    whole, length = show(Home(recorded(rule))), len(read_lines(Home(recorded(rule))))
    luck = random.Random(f"{rule} {delivered} {num_cases}")
    for case in range(num_cases):
        number = luck.randint(4, length - 1)
        home = cut(recorded, rule, tmp_path / f"{case}", number, delivered=delivered)
        hits = [(luck.randrange(number - 2), luck.choice(list(DAMAGES))) for _ in range(luck.randint(1, 2))]
        for index, name in hits:
            damage(home, index, name)
        go_on(home, whole, f"killed after {number}, then {hits}")
        if delivered:
            assert not any(repair.trials for repair in list_repairs(home)), hits
        shutil.rmtree(home.path)


def test_a_journal_that_was_emptied_truncated_or_deleted_is_had_from_mlflow(
    recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = show(Home(recorded("asha")))
    for name, change in {
        "emptied": lambda journal: journal.write_bytes(b""),
        "deleted": Path.unlink,
        "truncated": lambda journal: os.truncate(journal, journal.stat().st_size // 3),
        "zeros at its end": lambda journal: journal.write_bytes(journal.read_bytes()[:-5000] + bytes(4096)),
        "another file": lambda journal: journal.write_bytes(b"\x89PNG" + bytes(range(256))),
    }.items():
        home = copy(recorded, "asha", tmp_path / name)
        change(home.folder(SWEEP_ID).journal)
        assert home.folder(SWEEP_ID).has_begun
        go_on(home, whole, name)
        assert len(list_repairs(home)) == 1
        assert not list_repairs(home)[0].trials


def test_a_journal_with_other_ends_of_lines_or_a_torn_last_line_is_whole(
    recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    home = copy(recorded, "asha", tmp_path / "home")
    whole, journal = show(home), home.folder(SWEEP_ID).journal
    journal.write_bytes(journal.read_bytes().replace(b"\n", b"\r\n") + b'{"sequence": 99, "ki')
    go_on(home, whole, "other ends of lines")
    assert not list_repairs(home)


def test_two_drivers_are_told_apart_though_the_start_of_the_second_is_lost(
    recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    """Else the night between them would count as time under a driver."""
    whole = show(Home(recorded("asha")))
    trained = next(index for index, line in enumerate(read_lines(Home(recorded("asha")))) if b'"epoch"' in line)
    home = cut(recorded, "asha", tmp_path / "home", trained + 1, delivered=True)
    drive_sweep(home)
    starts = [index for index, line in enumerate(read_lines(home)) if b'"start_sweep"' in line]
    damage(home, starts[1], "missing")
    journal = open_journal(home.folder(SWEEP_ID), home.tracking_uri)
    found = [index for index, event in enumerate(journal.events) if isinstance(event.what, SweepStarted)]
    journal.close()
    assert found == starts
    go_on(home, whole, "the second start")


def test_without_mlflow_a_damaged_journal_stays_as_it_is(
    recorded: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy(recorded, "asha", tmp_path / "home")
    damage(home, 3, "no JSON")
    spoilt = home.folder(SWEEP_ID).journal.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingUnavailable):
        open_journal(home.folder(SWEEP_ID), home.tracking_uri)
    assert home.folder(SWEEP_ID).journal.read_bytes() == spoilt
    assert not Journal(home.folder(SWEEP_ID).journal).close(), "nobody holds it"
