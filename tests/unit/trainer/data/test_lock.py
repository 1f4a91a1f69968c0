import fcntl
import subprocess
import sys

import pytest

from trainer.data.lock import hold_lock

HOLD = """
import sys
from pathlib import Path
from trainer.data.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""

COUNT = """
import os, sys
from pathlib import Path
from trainer.data.lock import hold_lock
lock, counter = Path(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    with hold_lock(lock):
        value = int(counter.read_text())
        os.sched_yield()
        counter.write_text(str(value + 1))
"""


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def is_held(path):
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_held_inside_the_block_and_not_after_it(tmp_path):
    with hold_lock(tmp_path / "lock"):
        assert is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")


def test_an_error_in_the_block_lets_go_and_goes_on(tmp_path):
    with pytest.raises(KeyError, match="inside"), hold_lock(tmp_path / "lock"):
        raise KeyError("inside")
    assert not is_held(tmp_path / "lock")


def test_different_files_are_different_locks(tmp_path):
    with hold_lock(tmp_path / "one"), hold_lock(tmp_path / "other"):
        assert is_held(tmp_path / "one")
        assert is_held(tmp_path / "other")


def test_what_the_file_says_is_left_alone(tmp_path):
    (tmp_path / "lock").write_text("precious")
    with hold_lock(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "precious"


def test_a_process_that_is_killed_lets_go(tmp_path):
    with start(HOLD, tmp_path / "lock") as process:
        assert process.stdout.readline() == "held\n"
        assert is_held(tmp_path / "lock")
        process.kill()
    assert not is_held(tmp_path / "lock")


def test_processes_take_turns(tmp_path):
    (tmp_path / "counter").write_text("0")
    processes = [start(COUNT, tmp_path / "lock", tmp_path / "counter") for _ in range(3)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:  # all at once, now that all are up
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert (tmp_path / "counter").read_text() == "600"
