"""A SQLite store that is locked, damaged or slow."""

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tracking.store import connection
from tracking.store.connection import TrackingUnavailable, check_tracking, find_remedy, hide_password, open_client
from tracking.store.queries import list_sweeps

SQLITE_SECONDS = 5.0  # how long SQLite waits by itself


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    open_client(f"sqlite:///{path}")
    return path


@contextmanager
def locked(database: Path) -> Iterator[threading.Event]:
    """Another connection writes and does not end, until the event is set."""
    taken, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(database)) as other:
            other.execute("BEGIN EXCLUSIVE")
            taken.set()
            ended.wait()
            other.rollback()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    yield ended
    ended.set()
    thread.join()


def test_a_file_that_is_locked_for_long_is_waited_for(database: Path) -> None:
    with locked(database) as ended:
        timer = threading.Timer(SQLITE_SECONDS + 2, ended.set)
        timer.start()
        check_tracking(f"sqlite:///{database}", 1.0)
        assert ended.is_set()
    with locked(database) as ended:
        timer = threading.Timer(SQLITE_SECONDS + 2, ended.set)
        timer.start()
        assert list_sweeps(f"sqlite:///{database}", 1) == ()


def test_a_file_that_stays_locked_is_no_reason_to_move_it_away(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOCK_SECONDS", 0.5)
    words = r"another process has locked the file for more than 0\.5 s\. End the process that uses the file"
    with locked(database):
        with pytest.raises(TrackingUnavailable, match=words) as checked:
            check_tracking(f"sqlite:///{database}", 10.0)
        with pytest.raises(TrackingUnavailable, match=words) as read:
            list_sweeps(f"sqlite:///{database}", 1)
    assert "\n" not in str(checked.value) + str(read.value)


def test_a_process_that_was_halted_while_it_opened_the_file_keeps_nobody_out(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOCK_SECONDS", 0.5)
    with (database.parent / ".mlflow.db.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert list_sweeps(f"sqlite:///{database}", 1) == ()


@pytest.mark.parametrize("content", [b"not a database, " * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_damaged_is_said_to_be_at_once(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    with pytest.raises(TrackingUnavailable, match="Move the file away to start a new one, put a copy in its place"):
        check_tracking(f"sqlite:///{path}", 5.0)
    with pytest.raises(TrackingUnavailable, match="Move the file away"):
        list_sweeps(f"sqlite:///{path}", 1)


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        ("no answer within 15 s", "Try again, or set MLFLOW_TRACKING_URI to another store"),
        ("(sqlite3.OperationalError) database is locked", "End the process that uses the file"),
        ("(sqlite3.OperationalError) database or disk is full", "Make room on its disk"),
        ("Detected out-of-date database schema (found version 1", "run `mlflow db upgrade` with this URI"),
        ("(sqlite3.DatabaseError) database disk image is malformed", "Move the file away to start a new one"),
    ],
)
def test_what_to_do_fits_what_is_wrong(failure: str, remedy: str) -> None:
    assert remedy in find_remedy("sqlite:////x/mlflow.db", failure)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://ann:s3cret@mlflow:5000/x", "http://ann:***@mlflow:5000/x"),
        ("postgresql://ann:p/s3@cret@db/mlflow", "postgresql://ann:***@db/mlflow"),
        ("https://s3cret@mlflow", "https://***@mlflow"),
        ("postgresql://ann@db/mlflow?password=s3cret&a=b", "postgresql://ann@db/mlflow?password=***&a=b"),
        ("sqlite:////a/b@c.db", "sqlite:////a/b@c.db"),
    ],
)
def test_no_password_is_shown(uri: str, shown: str) -> None:
    assert hide_password(uri) == shown
