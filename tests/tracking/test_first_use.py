"""A store that several processes open for the first time at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forked import run_forked

from tracking.store.connection import open_client

KILL_AT = str(Path(__file__).parents[1] / "faults" / "kill_at.py")


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("alembic.runtime.migration:HeadMaintainer.update_to_step", "20"),  # a table is made, and not yet noted
        ("pathlib:Path.replace", "1"),  # all are made
    ],
)
def test_a_process_that_is_killed_while_it_makes_a_new_database_leaves_none(
    place: str, number: str, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    (tmp_path / "open.py").write_text(f"from tracking.store.connection import open_client; open_client({uri!r})")
    command = [sys.executable, KILL_AT, "before", place, number, str(tmp_path / "open.py")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = run_forked(command, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "new.db").exists()
    assert [each.name for each in open_client(uri).search_experiments()] == ["Default"]
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix != ".py") == [".new.db.lock", "new.db"]


def test_processes_that_meet_at_a_new_database_all_get_in(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    program = f"from tracking.store.connection import check_tracking; check_tracking({uri!r}, 120.0)"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(4)
    ]
    ended = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, ended
