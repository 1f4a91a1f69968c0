"""What is left of a sweep's checkpoints on the disk, as trials pause and end."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from sweeps.driver.removal import CheckpointRemover
from sweeps.home import SweepFolder
from sweeps.running.lifecycle import Ending, end, let_go, resume, start
from sweeps.running.replay import DeafRecorder
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger, TrialEntry, TrialPhase
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.ranking import Goal

BuildSweep = Callable[..., RunningSweep]
DONE = Ending(TrialState.COMPLETED, "epochs")


class Recorder(DeafRecorder):
    """One whose journal may have no room."""

    disk_problem = ""


@pytest.fixture
def build(tmp_path: Path) -> BuildSweep:
    def build(rule: str = "null") -> RunningSweep:
        """A sweep of four trials that run, each with the checkpoints after its first and its second epoch."""
        file = tmp_path / "sweep.yaml"
        file.write_text(
            f"method: random\nbudget: {{trials_per_arm: 4}}\nconfirm: {{top: 0}}\nearly_terminate: {rule}\n"
            "parameters: {dataset: synthetic, epochs: 8, lr: {min: 0.1, max: 0.2}}\n"
        )
        spec = load_spec(file)
        sweep = RunningSweep(
            sweep_id="s",
            spec=spec,
            ledger=Ledger(Goal.MAXIMIZE, ("all",)),
            rules=ArmRules(("all",), spec.early_terminate, 8, {"all": 4}, 0),
            recorder=cast("Any", Recorder()),
            folder=SweepFolder(tmp_path / "s"),
            num_trials={"all": 4},
        )
        for number in range(4):
            add(sweep, STAGE_SEARCH, number)
        return sweep

    return build


def add(sweep: RunningSweep, stage: str, number: int) -> TrialEntry:
    trial_id = f"all-confirm-{number:02d}" if stage == STAGE_CONFIRM else f"all-{number:03d}"
    entry = TrialEntry(trial_id, "all", stage, number, 0, {"lr": 0.1})
    sweep.ledger.add(entry)
    start(sweep, entry)
    save(sweep, trial_id, 0)
    save(sweep, trial_id, 1)
    return entry


def save(sweep: RunningSweep, name: str, number: int) -> Path:
    folder = sweep.folder.ray / "trials-0000" / name / f"checkpoint_{number:06d}"
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_text("")
    return folder


def pause(sweep: RunningSweep, entry: TrialEntry, score: float = 0.5) -> None:
    entry.epoch += 1
    sweep.rules["all"].judge(entry.number, entry.epoch, score)
    entry.move_to(TrialPhase.PAUSING)
    let_go(sweep, entry, None)


def left(sweep: RunningSweep) -> dict[str, list[str]]:
    """The numbers of the checkpoints that are there, latest first, by trial."""
    found = {trial_id: sweep.folder.checkpoints(trial_id) for trial_id in sweep.ledger.entries}
    return {trial_id: [folder.name[-1] for folder in folders] for trial_id, folders in found.items() if folders}


def run(sweep: RunningSweep, act: Callable[[], None]) -> None:
    """Lets a driver do something and end."""
    remover = CheckpointRemover(sweep)
    remover.start()
    act()
    remover.close()


def test_only_what_a_resume_needs_stays(build: BuildSweep) -> None:
    sweep = build()
    completed, stopped, failed, _ = sweep.ledger.entries.values()

    def act() -> None:
        end(sweep, completed, DONE)
        end(sweep, stopped, Ending(TrialState.STOPPED, "interrupted"))
        end(sweep, failed, Ending(TrialState.FAILED, "hung"))

    run(sweep, act)
    assert left(sweep) == {"all-001": ["1", "0"], "all-002": ["1"], "all-003": ["1", "0"]}


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.EARLY_STOPPED, TrialState.DIVERGED])
def test_a_trial_that_ended_leaves_nothing_whichever_driver_it_ran_under(state: TrialState, build: BuildSweep) -> None:
    sweep = build()
    entry = sweep.ledger.entries["all-001"]
    save(sweep, "../trials-0001/all-001_002", 7)
    (sweep.folder.ray / "trials-0001/all-001/checkpoint_000003").mkdir(
        parents=True
    )  # cut off before the file was there
    other = save(sweep, "all-001_x-000", 0)
    run(sweep, lambda: end(sweep, entry, Ending(state, "")))
    assert sweep.folder.trials_with_checkpoints() == {"all-000", "all-002", "all-003", "all-001_x-000"}
    assert other.exists()


def test_a_trial_that_waits_keeps_its_last_checkpoint_and_that_goes_when_it_ends(build: BuildSweep) -> None:
    sweep = build("{type: asha_promotion, eta: 2}")
    entry = sweep.ledger.entries["all-000"]
    run(sweep, lambda: pause(sweep, entry))
    assert left(sweep)["all-000"] == ["1"]
    resume(sweep, entry)
    save(sweep, "all-000_001", 0)
    run(sweep, lambda: end(sweep, entry, DONE))
    assert "all-000" not in left(sweep)


def test_a_donor_stays_until_all_its_generation_has_ended(build: BuildSweep) -> None:
    sweep = build("{type: pbt, interval: 1}")
    entries = list(sweep.ledger.entries.values())

    def act() -> None:
        for entry in entries:
            pause(sweep, entry, score=entry.number)
        resume(sweep, entries[3])
        end(sweep, entries[3], DONE)

    run(sweep, act)
    resume(sweep, entries[0])
    assert entries[0].donor_id == "all-003"
    assert left(sweep) == {key: ["1", "0"] for key in sweep.ledger.entries}

    def act_on() -> None:
        for entry in entries[:3]:
            end(sweep, entry, DONE)

    run(sweep, act_on)
    assert left(sweep) == {}


def test_a_donor_stays_while_a_sweep_that_was_interrupted_may_be_resumed(build: BuildSweep) -> None:
    sweep = build("{type: pbt, interval: 1}")
    first, *others = sweep.ledger.entries.values()

    def act() -> None:
        end(sweep, first, DONE)
        for entry in others:
            end(sweep, entry, Ending(TrialState.STOPPED, "interrupted"))

    run(sweep, act)
    assert set(left(sweep)) == set(sweep.ledger.entries)


def test_the_weights_of_a_retraining_stay_until_they_are_registered(build: BuildSweep) -> None:
    sweep = build()
    completed, diverged = add(sweep, STAGE_CONFIRM, 0), add(sweep, STAGE_CONFIRM, 1)

    def act() -> None:
        end(sweep, completed, DONE)
        end(sweep, diverged, Ending(TrialState.DIVERGED, ""))

    run(sweep, act)
    assert left(sweep)["all-confirm-00"] == ["1"]
    assert "all-confirm-01" not in left(sweep)


def test_what_a_driver_that_was_lost_left_behind_is_removed_by_the_next(build: BuildSweep) -> None:
    sweep = build()
    end(sweep, sweep.ledger.entries["all-002"], DONE)
    run(sweep, lambda: None)
    assert set(left(sweep)) == {"all-000", "all-001", "all-003"}


def test_nothing_goes_before_the_journal_holds_the_end(build: BuildSweep) -> None:
    sweep = build()
    recorder = cast("Recorder", sweep.recorder)
    recorder.disk_problem = "the disk is full"
    run(sweep, lambda: end(sweep, sweep.ledger.entries["all-000"], DONE))
    assert "all-000" in left(sweep)
    recorder.disk_problem = ""
    run(sweep, lambda: None)
    assert "all-000" not in left(sweep)


def test_what_cannot_be_removed_is_said_once_and_the_rest_goes(
    build: BuildSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    sweep, is_busy = build(), threading.Event()
    is_busy.set()
    remove = shutil.rmtree

    def refuse(folder: Path) -> None:
        if folder.name == "checkpoint_000001" and is_busy.is_set():
            raise PermissionError(1, "Operation not permitted", str(folder))
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", refuse)

    def act() -> None:
        for entry in sweep.ledger.entries.values():
            end(sweep, entry, DONE)

    run(sweep, act)
    assert left(sweep) == {key: ["1"] for key in sweep.ledger.entries}
    (line,) = sweep.folder.driver_log.read_text().splitlines()
    assert "could not be removed (Operation not permitted)" in line
    assert f"delete {sweep.folder.ray}" in line
    is_busy.clear()
    run(sweep, lambda: None)
    assert left(sweep) == {}


def test_what_tune_kept_for_itself_goes_and_its_folders_stay(build: BuildSweep) -> None:
    sweep = build()
    snapshot = sweep.folder.ray / "trials-0000/experiment_state-2026-11-26_15-35-31.json"
    snapshot.write_text("{}")
    run(sweep, lambda: None)
    assert not snapshot.exists()
    assert (sweep.folder.ray / "trials-0000/all-000").is_dir()
