"""A store that several processes open for the first time at once."""

import subprocess
import sys
from pathlib import Path


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
