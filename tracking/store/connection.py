"""Reaching MLflow: a client that fails in seconds, a check before a sweep starts, and texts without passwords."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tracking.store.failures import advise_on, find_failure, first_line, shorten

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROBE_SECONDS = 5.0
LOCK_SECONDS = 120.0  # how long a SQLite file is waited for that another process has locked
_DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PASSWORD_IN_URI = re.compile(r"(://[^/@:\s]*):\S*@")  # which may have an @ itself
_TOKEN_IN_URI = re.compile(r"(https?://)[^/@:\s]+@")
_SECRET_IN_QUERY = re.compile(r"(pass|pwd|token|secret|key|credential)[^=&]*=", re.IGNORECASE)
_PASSWORD_IN_QUERY = re.compile(r"((?:password|passwd|token)=)[^&\s'\")]*", re.IGNORECASE)

_LOCKED = "another process has locked the file"
_DAMAGED = ("file is not a database", "disk image is malformed")  # SQLite's own words

_environment_lock = threading.Lock()


class TrackingUnavailable(RuntimeError):
    """MLflow cannot be used; the message says where it was looked for, what was found, and what to do."""


def hide_password(uri: str) -> str:
    """The tracking URI as it may be shown: `***` in place of a password, or of a token."""
    without = _PASSWORD_IN_URI.sub(r"\1:***@", uri)
    return _PASSWORD_IN_QUERY.sub(r"\1***", _TOKEN_IN_URI.sub(r"\1***@", without))


def strip_secrets(uri: str) -> str:
    """The tracking URI without what may be secret in it: user and password, and a query that has a password or a key.

    A user's name alone stays where a database wants one.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or rest.startswith("/"):
        return uri  # a file has no user
    user, at, place = rest.rpartition("@")
    if at and (":" in user or scheme in ("http", "https")):
        rest = place
    address, question, query = rest.partition("?")
    return f"{scheme}://{address if question and _SECRET_IN_QUERY.search(query) else rest}"


def hide_secrets(text: str, uri: str) -> str:
    """`text` without the tracking URI's password, however it got in there."""
    shown = text.replace(uri, hide_password(uri))
    password = urlsplit(uri).password if "://" in uri else None
    for secret in {password or "", unquote(password or "")} - {""}:
        shown = shown.replace(secret, "***")
    return hide_password(shown)


def open_client(tracking_uri: str) -> MlflowClient:
    """Returns a client of the store or server at `tracking_uri`; a new database gets its tables.

    A SQLite file that another process has locked is waited for.

    Raises:
        OSError: When nothing listens there, or the SQLite file stays locked or is damaged.
        mlflow.exceptions.MlflowException, sqlalchemy.exc.SQLAlchemyError: When it answers with an error.
    """
    probe(tracking_uri, PROBE_SECONDS)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # importing MLflow would call home
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for each trial that ends
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # tells of each table it creates
    from mlflow import MlflowClient

    database = sqlite_path(tracking_uri)
    with _one_at_a_time(database):
        if database is not None:
            _read_from(database)
            _create(database)
        return MlflowClient(tracking_uri=tracking_uri)


def _create(database: Path) -> None:
    """Makes a new SQLite store beside its place, and puts it there when it is whole.

    MLflow makes its tables in some fifty steps. A process that is killed between two of them would leave a file with
    which no later one can do anything. Where the folder cannot be written MLflow says so itself.
    """
    if database.exists() and database.stat().st_size:
        return
    unfinished = database.with_name(f".{database.name}.unfinished")
    with suppress(OSError):
        unfinished.unlink(missing_ok=True)  # of a process that was killed
        unfinished.touch()
        _make_tables(f"sqlite:///{unfinished}")
        unfinished.replace(database)


def _make_tables(uri: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(uri, "mlruns")  # experiments of ours have a place of their own
    store.engine.dispose()


@contextmanager
def _one_at_a_time(database: Path | None) -> Iterator[None]:
    """Lets one process at a time open a SQLite store: MLflow refuses a new file in which another still makes tables."""
    if database is None:
        yield
        return
    with ExitStack() as stack:
        with suppress(OSError):  # a folder that cannot be written has no new file either
            lock = stack.enter_context(database.with_name(f".{database.name}.lock").open("a"))
            _take(lock, time.monotonic() + LOCK_SECONDS)
        yield


def _take(lock: IO[str], deadline: float) -> None:
    """Takes the lock, or goes on without it: a process that was halted may hold it for ever."""
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return


def _read_from(database: Path) -> None:
    """Returns when the file can be read, or is not there yet.

    MLflow would give up on a file that is locked within seconds, and try one that is damaged again for minutes.

    Raises:
        OSError: When it stays locked, or is no database.
    """
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise OSError(f"{_LOCKED} for more than {LOCK_SECONDS:g} s") from error
    except sqlite3.DatabaseError as error:
        raise OSError(str(error)) from error


def probe(tracking_uri: str, timeout_seconds: float) -> None:
    """Returns when something listens where the URI points to, or when the URI names no host.

    MLflow itself would try again for minutes, with a warning each time.

    Raises:
        OSError: When nothing does.
    """
    address = _address(tracking_uri)
    if address is not None:
        socket.create_connection(address, timeout=timeout_seconds).close()


def _address(uri: str) -> tuple[str, int] | None:
    parts = urlsplit(uri)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme.partition("+")[0])
    return (parts.hostname, port) if parts.hostname and port else None


# MLflow takes these settings from the environment only. Its defaults are 7 retries, about 4 minutes.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # of a request, so that a connection that breaks off is no failure
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_num_patient = 0  # how many are inside `short_retries` now
_ours: set[str] = set()  # the variables that they have set


@contextmanager
def short_retries() -> Iterator[None]:
    """While this is open MLflow gives up soon and draws no bars; what the user has set in the environment wins.

    Threads may be inside it at the same time: the last one to leave puts the environment back.
    """
    global _num_patient  # the environment is the process's, and so is who counts
    with _environment_lock:
        if not _num_patient:
            _ours.update(name for name in _PATIENCE if name not in os.environ)
            os.environ.update({name: _PATIENCE[name] for name in _ours})
        _num_patient += 1
    try:
        yield
    finally:
        with _environment_lock:
            _num_patient -= 1
            if not _num_patient:
                for name in _ours:
                    os.environ.pop(name, None)
                _ours.clear()


def check_tracking(uri: str, timeout_seconds: float, check_more: Callable[[MlflowClient], None] | None = None) -> None:
    """Returns when MLflow at `uri` answers, within `timeout_seconds`; a new SQLite file is made ready on the way.

    A SQLite file that another process has locked gets LOCK_SECONDS more.

    Args:
        uri: The store or server.
        timeout_seconds: How long it may take.
        check_more: Raises when something else about it is not as it must be.

    Raises:
        TrackingUnavailable: When it does not.
    """
    where, failures = f"MLflow at {hide_password(uri)}", []

    def check() -> None:
        try:
            with short_retries():
                client = open_client(uri)
                client.search_experiments(max_results=1)
                if check_more is not None:
                    check_more(client)
        except TrackingUnavailable as error:
            failures.append(f"{where}: {error}")
        except Exception as error:  # noqa: BLE001  # whatever MLflow, SQLAlchemy or a driver raises is the answer
            failures.append(f"{where}: {describe(error, uri)}. {find_remedy(uri, str(error))}")

    if sqlite_path(uri) is not None:
        timeout_seconds += LOCK_SECONDS
    check_place(uri)
    thread = threading.Thread(target=check, name="mlflow-check", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        failures.append(f"{where}: no answer within {timeout_seconds:g} s. {find_remedy(uri, '')}")
    if failures:
        raise TrackingUnavailable(failures[0])


def check_place(uri: str) -> None:
    """Returns when a store can be there, as far as that can be told without asking it.

    Args:
        uri: The store or server.

    Raises:
        TrackingUnavailable: The URI is none, or the folder of a SQLite file cannot be written.
    """
    if fault := _find_fault(uri):
        raise TrackingUnavailable(f"MLflow at {hide_password(uri)}: {fault}")


def describe(error: BaseException, uri: str) -> str:
    """One short line on what went wrong, without secrets."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return hide_secrets(shorten(text, type(error).__name__), uri)


def is_denial(error: BaseException) -> bool:
    """Whether MLflow, or its database, would refuse the same to the same user again: a password or a right is wrong."""
    failure = find_failure(str(error))
    return failure is not None and failure.is_denial


def _find_fault(uri: str) -> str | None:
    """What is wrong with the URI itself, or with the folder of a SQLite file."""
    if "://" not in uri or uri.startswith("file:"):
        return "folders of files are no longer a tracking store; use sqlite:///FILE.db, postgresql://... or http://..."
    try:
        _address(uri)
    except ValueError as error:
        return f"not a valid URI ({error})"
    path = sqlite_path(uri)
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"the folder {path.parent} cannot be created ({error.strerror}); choose another"
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        return f"{place} cannot be written; allow it, or choose another file"
    return None


def sqlite_path(uri: str) -> Path | None:
    """The file of a `sqlite:///...` URI, None for any other URI."""
    if not uri.startswith("sqlite:///"):
        return None
    path = uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(path).absolute() if path not in ("", ":memory:") else None


def is_new_store(uri: str) -> bool:
    """Whether this is a SQLite file that is not there yet: making its tables takes seconds."""
    path = sqlite_path(uri)
    return path is not None and not path.exists()


def find_remedy(uri: str, failure: str) -> str:
    """What to do where MLflow at `uri` has failed in this way, as a sentence without its full stop."""
    if uri.startswith("sqlite") and find_failure(failure) is None:
        return _find_remedy_of_file(first_line(failure))
    remedy = advise_on(failure)
    return remedy[:1].upper() + remedy[1:]


def _find_remedy_of_file(failure: str) -> str:
    if any(word in failure for word in _DAMAGED):
        return "Move the file away to start a new one, put a copy in its place, or set MLFLOW_TRACKING_URI"
    if "locked" in failure:
        return "End the process that uses the file, or try again when it has ended"
    if "full" in failure:
        return "Make room on its disk"
    if "out-of-date database schema" in failure:
        return "Copy the file, then run `mlflow db upgrade` with this URI"
    return "Try again, or set MLFLOW_TRACKING_URI to another store"
