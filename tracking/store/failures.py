"""What a failed call of MLflow means, and what its user can do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST_CHARACTERS = 240
_NO_REASON = "(raised as a result of"  # SQLAlchemy's remark on how it came to an error, above the error


@dataclass(frozen=True)
class Failure:
    """A kind of failure.

    Attributes:
        pattern: What MLflow, a database driver or the network say of it; a group is the status.
        what: One clause on what happened.
        remedy: One clause on what to do.
        is_denial: Whether the same call would be answered the same until somebody has changed something.
    """

    pattern: re.Pattern[str]
    what: str
    remedy: str
    is_denial: bool = False


_START = "start the server, or set MLFLOW_TRACKING_URI (unset, results go to a SQLite file)"
_SERVER_LOG = "see the log of the server, or of the proxy before it"

_FAILURES = (
    Failure(
        re.compile(r"error code 401\b|You are not authenticated|UNAUTHENTICATED"),
        "the server does not accept this user name and password, or token (401)",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to valid ones",
        is_denial=True,
    ),
    Failure(
        re.compile(r"Invalid Host header"),
        "the server does not answer to this host name (403)",
        "start it with --allowed-hosts and this name, or use a name that it answers to",
        is_denial=True,
    ),
    Failure(
        re.compile(r"error code 403\b|PERMISSION_DENIED"),
        "the server forbids this to this user (403)",
        "ask for the permission EDIT on the experiment, choose another `project`, or set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD to those of a user who has it",
        is_denial=True,
    ),
    Failure(
        re.compile(r"password authentication failed|no password supplied|role \".*\" does not exist|no pg_hba.conf"),
        "the database does not accept this user name and password",
        "correct them in MLFLOW_TRACKING_URI",
        is_denial=True,
    ),
    Failure(
        re.compile(r"permission denied for|must be owner of"),
        "the database forbids this to this user",
        "grant it, or name another user in MLFLOW_TRACKING_URI",
        is_denial=True,
    ),
    Failure(
        re.compile(r"database \".*\" does not exist"),
        "the server has no database of that name",
        "create it, or correct its name in MLFLOW_TRACKING_URI",
        is_denial=True,
    ),
    Failure(
        re.compile(r"error code 429\b|too many 429 error"),
        "the server has more requests than it takes (429)",
        "try again later",
    ),
    Failure(
        re.compile(r"error code (5\d\d)\b|too many (5\d\d) error"),
        "the server answers with an error of its own ({status})",
        _SERVER_LOG,
    ),
    Failure(
        re.compile(r"not in a valid JSON format|<!doctype html|<html", re.IGNORECASE),
        "what answers there is a web page, not MLflow",
        "check MLFLOW_TRACKING_URI, and whether a proxy or a page to sign in stands before the server",
    ),
    Failure(re.compile(r"Read timed out"), "the server does not answer in time", _SERVER_LOG),
    Failure(
        re.compile(r"RemoteDisconnected|Connection aborted|Connection reset|ConnectionResetError|IncompleteRead"),
        "the connection breaks off before an answer",
        _SERVER_LOG,
    ),
    Failure(
        re.compile(r"the database system is (starting up|shutting down)|terminating connection|server closed the conn"),
        "the database stops or starts",
        "try again when it has started",
    ),
    Failure(
        re.compile(r"\(sqlite3\.OperationalError\) table \w+ already exists"),
        "a process was ended while it made the tables of this file, and no other can finish them",
        "move the file away, which holds no sweep; if MLflow was just upgraded, put back the copy from before",
        is_denial=True,
    ),
)


def find_failure(text: str) -> Failure | None:
    """The kind of failure that a message tells of; None for one that is not known."""
    for failure in _FAILURES:
        if failure.pattern.search(text):
            return failure
    return None


def shorten(text: str, fallback: str) -> str:
    """One line on a failure: what is known of its kind, or else the message's first line.

    Args:
        text: The message of an error.
        fallback: What to say where that is empty.
    """
    if failure := find_failure(text):
        found = failure.pattern.search(text)
        status = next((group for group in found.groups() if group), "") if found else ""
        return failure.what.format(status=status)
    line = first_line(text) or fallback
    return (line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 3] + "...").rstrip(". ")


def first_line(text: str) -> str:
    """The first line of an error's message that says what went wrong."""
    return next((line for line in text.strip().splitlines() if not line.startswith(_NO_REASON)), "")


def advise_on(text: str) -> str:
    """What to do about a failure of a server or database."""
    failure = find_failure(text)
    return failure.remedy if failure else _START
