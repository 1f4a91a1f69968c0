"""The disk of a sweep is really full for a while: nothing is lost, and it goes on, or ends and is resumed."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checker import check_sweep
from small_sweep import DECODED, SMALL, draw_images

from sweeps.errors import ExitCode
from sweeps.home import Home
from tracking.names import TrialState
from tracking.recording.events import Event, TrialStarted
from tracking.store.queries import load_sweep

pytestmark = [pytest.mark.cluster, pytest.mark.thorough_fault, pytest.mark.timeout(900)]

WAIT_SECONDS = 400.0

# The command line, with amounts that suit a disk of 100 MB.
PROGRAM = """
import sys
from sweeps.driver import measuring, preflight, room
preflight.MIN_FREE_BYTES, room.RESERVE_BYTES, room.LIMIT_SECONDS = 10**7, 4 * 10**6, {limit}
sys.argv[0] = "sweeps"
from sweeps.cli.__main__ import main
main()
"""


class Disk:
    """A small file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**16))

    def clear(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", path], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def disk_home(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A results folder on that disk."""
    monkeypatch.setenv("SWEEPS_HOME", str(disk.path / "results"))
    monkeypatch.setenv("SWEEPS_DATA", str(DECODED))
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return Home(disk.path / "results")


class Sweep:
    """A sweep of six trials of 30 epochs, and what it prints."""

    def __init__(self, file: Path, *, limit: float) -> None:
        draw_images()
        file.write_text(SMALL.replace("epochs: 4", "epochs: 30").replace("eta: 3}", "eta: 3, max_iter: 30}"))
        self._command = [sys.executable, "-c", PROGRAM.format(limit=limit)]
        self.process = subprocess.Popen(
            [*self._command, "run", str(file), "--no-measure", "--set", "early_terminate=null"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._timer = threading.Timer(WAIT_SECONDS, self.process.kill)
        self._timer.start()

    def read_until(self, text: str) -> str:
        """The first line with it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return line
        pytest.fail(f"never came: {text}\n{self.output}")

    def end(self) -> int:
        assert self.process.stdout is not None
        with self.process:
            self.output += self.process.stdout.read()
        self._timer.cancel()
        return self.process.returncode

    def resume(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, "resume"], capture_output=True, text=True, check=False)


def list_starts(home: Home, sweep_id: str) -> list[float]:
    """When its trials started, in seconds since 1970."""
    starts = []
    for line in home.folder(sweep_id).journal.read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # torn by the disk, and written again
            event = Event.from_line(line)
            if isinstance(event.what, TrialStarted):
                starts.append(event.time_ms / 1000)
    return starts


def assert_whole(home: Home, sweep_id: str) -> None:
    check_sweep(home, sweep_id)
    table = load_sweep(sweep_id, home.tracking_uri)
    assert [trial.state for trial in table.trials] == [TrialState.COMPLETED] * 8
    assert all(len(trial.history["val_accuracy"]) == 30 for trial in table.trials)


def test_a_full_disk_holds_the_sweep_which_goes_on_by_itself(disk: Disk, disk_home: Home, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "small.yaml", limit=1800.0)
    sweep.read_until("(1 ended)")
    disk.fill()
    held = sweep.read_until("nothing new starts until there is room")
    assert held.startswith(f"the disk that holds results ({disk.path}")
    held_at = time.time()
    time.sleep(5.0)  # a slot is free, of the trial that has ended, and for some seconds nothing takes its place
    cleared_at = time.time()
    disk.clear()
    sweep.read_until("there is room on the disk again: the sweep goes on")
    assert sweep.end() == ExitCode.DONE, sweep.output
    assert "Traceback" not in sweep.output
    assert len(sweep.output.splitlines()) < 40
    (sweep_id,) = disk_home.sweep_ids()
    assert not [start for start in list_starts(disk_home, sweep_id) if held_at < start < cleared_at]
    assert_whole(disk_home, sweep_id)


def test_a_disk_that_stays_full_ends_the_sweep_which_is_resumed(disk: Disk, disk_home: Home, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "small.yaml", limit=6.0)
    sweep.read_until("(1 ended)")
    disk.fill()
    assert sweep.end() == ExitCode.INTERRUPTED, sweep.output
    (sweep_id,) = disk_home.sweep_ids()
    assert re.search(r"the disk that holds results \(.*\) was full for 0.1 minutes", sweep.output)
    assert f"go on with: sweeps resume {sweep_id}" in sweep.output
    assert "Traceback" not in sweep.output
    disk.clear()
    resumed = sweep.resume()
    assert resumed.returncode == ExitCode.DONE, resumed.stdout + resumed.stderr
    assert_whole(disk_home, sweep_id)
