import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tracking.files import replace_file, write_file

KILL_AT = str(Path(__file__).parents[2] / "faults" / "kill_at.py")


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    write_file(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n".encode()
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["a.txt"]


def write_half(path: Path) -> None:
    with replace_file(path) as file:
        file.write("half")
        raise OSError("no room")


def test_what_was_there_stays_when_not_all_can_be_written(tmp_path: Path) -> None:
    write_file(tmp_path / "a.txt", "before")
    with pytest.raises(OSError, match="no room"):
        write_half(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_what_was_there_stays_when_the_process_is_killed(tmp_path: Path) -> None:
    path, script = tmp_path / "a.txt", tmp_path / "write.py"
    write_file(path, "before")
    program = "from pathlib import Path; from tracking.files import write_file; write_file(Path({!r}), 'x')"
    script.write_text(program.format(str(path)))
    done = subprocess.run(
        [sys.executable, KILL_AT, "before", "pathlib:Path.replace", "1", str(script)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
