import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sweeps.errors import BadUsage
from sweeps.home import Home, SweepFolder, build_sweep_id, choose_sweep, open_home


def test_sweep_ids_say_name_and_time() -> None:
    sweep_id = build_sweep_id("quick", datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC))
    assert sweep_id.startswith("quick-20261124-030405-")
    assert len(sweep_id) == len("quick-20261124-030405-") + 4


def test_the_environment_decides_where_results_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SWEEPS_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert open_home().path == tmp_path / "sweep-results"
    monkeypatch.setenv("SWEEPS_HOME", "elsewhere")
    home = open_home()
    assert home.path == tmp_path / "elsewhere"
    assert home.tracking_uri == f"sqlite:///{tmp_path}/elsewhere/mlflow.db"
    assert home.artifact_root == tmp_path / "elsewhere" / "artifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert home.tracking_uri == "http://127.0.0.1:5000"
    assert home.artifact_root is None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    for age, name in enumerate(["new-2", "new-1", "old-1"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "resolved.yaml").touch()
        os.utime(tmp_path / name / "resolved.yaml", (1000 - age, 1000 - age))
    return Home(tmp_path)


def test_the_latest_sweep_is_meant_when_none_is_named(home: Home) -> None:
    assert choose_sweep(home.sweep_ids(), None, "here") == "new-2"


def test_an_unambiguous_beginning_is_enough(home: Home) -> None:
    assert choose_sweep(home.sweep_ids(), "old", "here") == "old-1"


@pytest.mark.parametrize(
    ("asked", "message"), [("new", "2 sweeps begin with it: new-2, new-1"), ("x", "the latest: new-2, new-1, old-1")]
)
def test_an_unknown_sweep_is_an_error_that_lists_the_known(home: Home, asked: str, message: str) -> None:
    with pytest.raises(BadUsage, match=message):
        choose_sweep(home.sweep_ids(), asked, "here")


def test_no_sweep_yet(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="start one with `sweeps run FILE`"):
        choose_sweep(Home(tmp_path / "absent").sweep_ids(), None, "here")


def test_checkpoints_from_before_the_last_pause_are_dropped(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    kept, dropped, others = [], [], []
    for driver, part, number, group in (
        ("trials-0000", "sgd-001", 0, dropped),
        ("trials-0000", "sgd-001_001", 0, dropped),
        ("trials-0001", "sgd-001", 0, dropped),
        ("trials-0001", "sgd-001_002", 0, kept),
        ("trials-0001", "sgd-001_002", 1, kept),
        ("trials-0001", "sgd-0010", 0, others),
    ):
        checkpoint = tmp_path / "ray" / driver / part / f"checkpoint_{number:06d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "checkpoint.pt").write_text("")
        group.append(checkpoint)
    folder.drop_old_checkpoints("sgd-001")
    assert folder.checkpoints("sgd-001") == tuple(reversed(kept))
    assert not any(each.exists() for each in dropped)
    assert all(each.exists() for each in others)
    folder.drop_old_checkpoints("sgd-999")


@pytest.mark.parametrize("sweep_id", ["../elsewhere", "..", ".", "", "a/b", "it's", "a*", "a\n"])
def test_only_ids_name_folders(home: Home, sweep_id: str) -> None:
    with pytest.raises(BadUsage, match="the id of a sweep has letters"):
        home.folder(sweep_id)
    assert home.folder("new-1.x_Y").path == home.path / "new-1.x_Y"


def test_sweeps_of_one_name_begun_in_the_same_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("sweeps.home.secrets.token_hex", lambda _: next(tokens))
    monkeypatch.setattr("sweeps.home.build_sweep_id.__defaults__", (datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC),))
    folders = [Home(tmp_path / "home").create_folder("quick").path for _ in range(2)]
    assert [folder.name[-4:] for folder in folders] == ["aaaa", "bbbb"]
    assert all(folder.is_dir() for folder in folders)
