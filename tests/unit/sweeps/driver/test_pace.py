import json
import queue
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sweeps.driver.pace import Pace
from sweeps.home import Home, SweepFolder
from sweeps.plan.build import build_plan
from sweeps.running.sweep import RunningSweep, TrialEvent
from sweeps.spec import load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger, TrialEntry
from tracking.names import STAGE_SEARCH
from tracking.ranking import Goal
from trainer.data.synthetic import draw_synthetic

FILE = """
method: grid
confirm: {top: 0}
parameters:
  dataset: synthetic
  epochs: 4
  lr: {values: [0.1, 0.01, 0.001]}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> RunningSweep:
    (tmp_path / "sweep.yaml").write_text(FILE)
    (tmp_path / "manifest.json").write_text(json.dumps({"seed": 0}))
    spec = load_spec(tmp_path / "sweep.yaml")
    ledger = Ledger(Goal.MAXIMIZE, ("all",))
    return RunningSweep(
        "s-1", spec, ledger, ArmRules(ledger.arms, None, 4), cast("Any", None), SweepFolder(tmp_path), {"all": 3}
    )


def test_the_time_is_said_once_after_the_first_epochs_and_noted_in_the_manifest(sweep: RunningSweep) -> None:
    said: queue.Queue[str] = queue.Queue()
    plan = build_plan(sweep.spec, 1, {}, 0)
    pace = Pace(plan, draw_synthetic(200, 40), Home(sweep.folder.path), said.put)
    entry = TrialEntry("all-000", "all", STAGE_SEARCH, 0, 0, {"dataset": "synthetic", "epochs": 4, "lr": 0.1})
    sweep.ledger.add(entry)
    pace(sweep, entry, TrialEvent.STARTED)
    for epoch in range(1, 4):
        sweep.ledger.record_epoch("all-000", epoch, 0.5, 90.0 if epoch == 1 else 60.0)
        pace(sweep, entry, TrialEvent.EPOCH)
        assert epoch > 1 or said.empty()
    # 3 trials of 4 epochs of a minute, since the first of a process does not count, and what `build` reckons for
    # starting a process and trials in it.
    assert said.get(timeout=60) == "plan: 3 trials, 12 epochs, 1 at a time; about 12 min 07 s"
    noted = json.loads(sweep.folder.manifest.read_text())
    assert noted["seed"] == 0
    assert noted["plan"]["wall_seconds"]["mid"] == pytest.approx(12 * 60, rel=0.02)
    assert noted["plan"]["epochs"] == {"low": 12, "mid": 12, "high": 12}
    assert wait_for_disk(sweep)["checkpoint_bytes"] > 10_000  # the weights of its network
    assert said.empty()
    assert json.loads(sweep.folder.manifest.read_text())["plan"]["wall_seconds"] == noted["plan"]["wall_seconds"]


def test_trials_of_one_epoch_count_once_each_process_has_had_one(sweep: RunningSweep) -> None:
    said: queue.Queue[str] = queue.Queue()
    pace = Pace(build_plan(sweep.spec, 1, {}, 0), draw_synthetic(200, 40), Home(sweep.folder.path), said.put)
    for number, seconds in enumerate((90.0, 60.0)):
        assert said.empty()
        name, settings = f"all-00{number}", {"dataset": "synthetic", "epochs": 4, "lr": 0.1}
        entry = TrialEntry(name, "all", STAGE_SEARCH, number, 0, settings)
        sweep.ledger.add(entry)
        sweep.ledger.record_epoch(name, 1, 0.5, seconds)
        pace(sweep, entry, TrialEvent.EPOCH)
    assert said.get(timeout=60) == "plan: 3 trials, 12 epochs, 1 at a time; about 12 min 07 s"


def test_an_epoch_of_a_trial_that_goes_on_from_an_earlier_run_is_not_taken_for_all_of_them(sweep: RunningSweep) -> None:
    said: queue.Queue[str] = queue.Queue()
    pace = Pace(build_plan(sweep.spec, 1, {}, 0), draw_synthetic(200, 40), Home(sweep.folder.path), said.put)
    entry = TrialEntry("all-000", "all", STAGE_SEARCH, 0, 0, {"dataset": "synthetic", "epochs": 4, "lr": 0.1})
    sweep.ledger.add(entry)
    for epoch in (1, 2, 3, 4):
        sweep.ledger.record_epoch("all-000", epoch, 0.5, 60.0)
        if epoch > 2:  # the two before it were of the earlier run
            pace(sweep, entry, TrialEvent.EPOCH)
    assert said.get(timeout=60) == "plan: 3 trials, 12 epochs, 1 at a time; about 12 min 07 s"


def test_a_disk_that_has_no_room_for_the_sweep_is_told_of_while_it_runs(
    sweep: RunningSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    said: queue.Queue[str] = queue.Queue()
    pace = Pace(build_plan(sweep.spec, 1, {}, 0), draw_synthetic(200, 40), Home(sweep.folder.path), said.put)
    entry = TrialEntry("all-000", "all", STAGE_SEARCH, 0, 0, {"dataset": "synthetic", "epochs": 4, "lr": 0.1})
    sweep.ledger.add(entry)
    for epoch in (1, 2):
        sweep.ledger.record_epoch("all-000", epoch, 0.5, 60.0)
        pace(sweep, entry, TrialEvent.EPOCH)
    assert said.get(timeout=60).startswith("plan: 3 trials")
    told = said.get(timeout=60)
    assert told.startswith(f"{sweep.folder.path}: 1 MB free, and 1 trials at a time, with checkpoints of ")
    assert told.endswith("; free some, or set SWEEPS_HOME elsewhere")
    assert wait_for_disk(sweep)["free_bytes"] == 1_000_000


def wait_for_disk(sweep: RunningSweep) -> dict[str, Any]:
    """What the plan in the manifest says of the disk, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if disk := json.loads(sweep.folder.manifest.read_text())["plan"].get("disk"):
            return dict(disk)
        time.sleep(0.1)
    raise AssertionError("the plan says nothing of the disk")
