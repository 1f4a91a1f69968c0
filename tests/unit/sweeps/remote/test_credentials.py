"""What travels with a submitted job, and what it makes of it on the head."""

import json
import stat
from pathlib import Path

import pytest

from sweeps.remote.credentials import lend_credentials, take_credentials

SERVER = "http://mlflow:5000"
OURS = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "s3cret"}
HEADS = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "of the head"}


def submit(
    environment: dict[str, str], head: dict[str, str], storage: Path | None = None
) -> tuple[str, dict[str, str]]:
    """What is missing on the head, and the job's environment there; nothing secret travels and no file is left."""
    result = dict(head)
    with lend_credentials(environment, str(storage) if storage else None) as told:
        assert "s3cret" not in json.dumps(told)
        missing = take_credentials(told, result, Path("/nonexistent"))
    assert not storage or not list(storage.glob(".credentials-*"))
    assert "s3cret" not in missing
    return missing, result


@pytest.mark.parametrize("head", [{"MLFLOW_TRACKING_URI": SERVER, **HEADS}, HEADS])
def test_a_job_uses_what_the_head_has(head: dict[str, str], tmp_path: Path) -> None:
    ours = {"MLFLOW_TRACKING_URI": SERVER, **OURS}
    assert submit(ours, head, tmp_path) == ("", {"MLFLOW_TRACKING_URI": SERVER, **HEADS})


def test_a_job_gets_what_the_head_lacks_from_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    ours = {"MLFLOW_TRACKING_URI": SERVER, **OURS}
    assert submit(ours, {"HOME": "/root"}, tmp_path) == ("", {"HOME": "/root", **ours})


def test_the_file_is_for_the_user_alone(tmp_path: Path) -> None:
    with lend_credentials({"MLFLOW_TRACKING_URI": SERVER, **OURS}, str(tmp_path)) as told:
        (file,) = tmp_path.iterdir()
        assert told["file"] == str(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.exists()


@pytest.mark.parametrize("storage", [None, "absent"])
def test_without_either_the_job_says_what_to_do(storage: str | None, tmp_path: Path) -> None:
    missing, _ = submit({"MLFLOW_TRACKING_URI": SERVER, **OURS}, {}, (storage and tmp_path / storage) or None)
    assert missing.startswith(
        f"MLflow at {SERVER}: the head of the cluster has no MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD, and"
    )
    assert "set it in the environment of `ray start --head`, or submit with --storage FOLDER" in missing
    assert not (tmp_path / "absent").exists()


def test_a_file_that_the_head_does_not_see_is_named(tmp_path: Path) -> None:
    told = {"uri": SERVER, "needs": ["MLFLOW_TRACKING_TOKEN"], "file": str(tmp_path / "f")}
    assert f"(nor can {tmp_path}/f be read there)" in take_credentials(told, {}, tmp_path)


def test_what_the_head_has_for_another_server_is_not_sent_to_ours(tmp_path: Path) -> None:
    head = {"MLFLOW_TRACKING_URI": "http://other:5000", **HEADS}
    assert submit({"MLFLOW_TRACKING_URI": SERVER}, head) == ("", {"MLFLOW_TRACKING_URI": SERVER})
    ours = {"MLFLOW_TRACKING_URI": SERVER, **OURS}
    assert submit(ours, head, tmp_path) == ("", ours)
    assert "the head of the cluster has no" in submit(ours, head)[0]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://ann:s3cret@mlflow:5000/a", "http://mlflow:5000/a"),
        ("https://s3cret@mlflow", "https://mlflow"),
        ("postgresql://ann:s3cret@db:5432/mlflow?sslmode=require", "postgresql://db:5432/mlflow?sslmode=require"),
        ("postgresql+psycopg2://ann:p/s3cret@x@db/mlflow", "postgresql+psycopg2://db/mlflow"),
        ("postgresql://db/mlflow?user=ann&password=s3cret", "postgresql://db/mlflow"),
        ("mysql://db/mlflow?ssl_key=s3cret", "mysql://db/mlflow"),
    ],
)
def test_a_password_in_the_uri_does_not_travel_either(uri: str, told: str, tmp_path: Path) -> None:
    with lend_credentials({"MLFLOW_TRACKING_URI": uri}, None) as order:
        assert (order["uri"], order["needs"]) == (told, ["MLFLOW_TRACKING_URI"])
    of_head = uri.replace("s3cret", "another")
    assert submit({"MLFLOW_TRACKING_URI": uri}, {"MLFLOW_TRACKING_URI": of_head}) == (
        "",
        {"MLFLOW_TRACKING_URI": of_head},
    )
    assert submit({"MLFLOW_TRACKING_URI": uri}, {}, tmp_path) == ("", {"MLFLOW_TRACKING_URI": uri})
    assert (
        f"MLflow at {told}: the head of the cluster has no MLFLOW_TRACKING_URI"
        in submit({"MLFLOW_TRACKING_URI": uri}, {"MLFLOW_TRACKING_URI": told})[0]
    )


@pytest.mark.parametrize(
    "uri", ["", "sqlite:////a/x:y@z/mlflow.db", "postgresql://ann@db/mlflow?sslmode=require", SERVER]
)
def test_where_nothing_is_secret_nothing_is_asked_for(uri: str) -> None:
    environment = {"MLFLOW_TRACKING_URI": uri} if uri else OURS  # without a server a password is for nobody
    with lend_credentials(environment, None) as told:
        assert told == {"uri": uri, "needs": [], "file": ""}
    head = {"MLFLOW_TRACKING_URI": "http://other", **HEADS}
    assert take_credentials(told, head, Path("/nonexistent")) == ""
    assert head["MLFLOW_TRACKING_URI"] == (uri or "http://other")


def test_mlflows_own_file_on_the_head_counts(tmp_path: Path) -> None:
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text("[mlflow]\n")
    told = {"uri": SERVER, "needs": list(OURS), "file": ""}
    assert take_credentials(told, {}, tmp_path) == ""
