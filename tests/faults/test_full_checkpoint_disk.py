"""A disk for checkpoints that is full for a while: trials wait, say so once, and lose nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checker import check_sweep

from sweeps.driver.driver import run_sweep
from sweeps.errors import ExitCode
from sweeps.home import Home, SweepFolder, build_sweep_id
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.spec import SweepSpec
from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_CONFIRM, TrialState
from tracking.store.queries import load_sweep

pytestmark = [pytest.mark.cluster, pytest.mark.thorough_fault]


@pytest.fixture
def folder(home: Home) -> Iterator[SweepFolder]:
    """The folder of a sweep to come, whose checkpoints are on a disk of their own, of 16 MB."""
    folder = home.folder(build_sweep_id("small"))
    folder.ray.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder.ray)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder.ray)], check=True)


def fill(file: Path) -> None:
    """Takes all the room there is on the file's disk."""
    file.write_bytes(bytes(shutil.disk_usage(file.parent).free))


def test_a_checkpoint_waits_for_room(home: Home, build_spec: Callable[..., SweepSpec], folder: SweepFolder) -> None:
    filler = folder.ray / "filler"
    seen: list[str] = []

    def fill_and_free(sweep: RunningSweep, entry: TrialEntry | None, event: TrialEvent) -> None:
        if event is TrialEvent.EPOCH and entry is not None and entry.stage == STAGE_CONFIRM and entry.epoch == 1:
            if not seen and not filler.exists():
                fill(filler)
        elif event is TrialEvent.RECOVERED:
            seen.append("a process was lost")
        elif sweep.full_disk and filler.exists():
            seen.append(sweep.full_disk)
            filler.unlink()

    spec = build_spec(
        "early_terminate=null", "budget.trials_per_arm=1", "compare=null", "parameters.optimizer={choices: {adam: {}}}"
    )
    outcome = run_sweep(spec, home, sweep_id=folder.path.name, listeners=[fill_and_free])
    assert outcome.exit_code is ExitCode.DONE
    (waited,) = seen
    (confirm,) = [
        each for each in load_sweep(outcome.sweep_id, home.tracking_uri).trials if each.stage == STAGE_CONFIRM
    ]
    assert waited.startswith(f"{confirm.trial_id} waits to save its state: No space left on device: {folder.ray}")
    assert confirm.state is TrialState.COMPLETED
    told = f"disk: {waited}; free some room, and it goes on by itself"
    assert folder.driver_log.read_text().splitlines().count(told) == 1
    check_sweep(home, outcome.sweep_id)
