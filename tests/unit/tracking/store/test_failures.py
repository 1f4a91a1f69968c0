import pytest

from tracking.store.connection import find_remedy
from tracking.store.failures import advise_on, find_failure, shorten

ENDPOINT = "API request to endpoint /api/2.0/mlflow/runs/create failed with error code"
MAX_RETRIES = (
    "API request to http://h/api failed with exception HTTPConnectionPool(host='h', port=1): Max retries exceeded"
)


@pytest.mark.parametrize(
    ("text", "what", "remedy", "is_denial"),
    [
        (f"{ENDPOINT} 401 != 200. Response body: 'You are not", "does not accept this user name", "PASSWORD", True),
        (f"{ENDPOINT} 403 != 200. Response body: 'Permission denied'", "forbids this to this user", "EDIT", True),
        (
            f"{ENDPOINT} 403 != 200. Response body: 'Invalid Host header",
            "this host name (403)",
            "--allowed-hosts",
            True,
        ),
        (f"{MAX_RETRIES} (Caused by ResponseError('too many 502 error responses'))", "its own (502)", "log", False),
        (f"{ENDPOINT} 504 != 200. Response body: '<html>'", "its own (504)", "log", False),
        (f"{MAX_RETRIES} (Caused by ResponseError('too many 429 error responses'))", "(429)", "later", False),
        ("was not in a valid JSON format. Response body: '<!DOCTYPE html>", "web page, not MLflow", "proxy", False),
        (f'{MAX_RETRIES} (Caused by ReadTimeoutError("Read timed out. (read timeout=20)"))', "in time", "log", False),
        ("('Connection aborted.', RemoteDisconnected('Remote end closed'))", "breaks off", "log", False),
        ('FATAL:  password authentication failed for user "u"', "the database does not accept", "correct them", True),
        ('FATAL:  database "sweps" does not exist', "no database of that name", "create it", True),
        ("(psycopg2.errors.InsufficientPrivilege) permission denied for table runs", "forbids", "grant it", True),
        ("FATAL:  the database system is starting up", "stops or starts", "try again", False),
    ],
)
def test_a_failure_is_told_in_one_clause_with_a_remedy(text: str, what: str, remedy: str, is_denial: bool) -> None:
    assert what in shorten(text, "Error")
    assert "{" not in shorten(text, "Error")
    assert remedy in advise_on(text)
    failure = find_failure(text)
    assert failure is not None
    assert failure.is_denial == is_denial


def test_what_is_not_known_is_told_in_its_first_line() -> None:
    assert shorten("disk on fire. \nTraceback", "Error") == "disk on fire"
    assert shorten("", "ValueError") == "ValueError"
    assert shorten("x" * 1000, "Error") == "x" * 237
    assert "MLFLOW_TRACKING_URI" in advise_on("disk on fire")
    above = "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)"
    assert shorten(f"{above}\n(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT", "Error") == (
        "(sqlite3.OperationalError) database or disk is full"
    )
    assert "Make room" in find_remedy("sqlite:///mlflow.db", f"{above}\n(sqlite3.OperationalError) disk is full")
