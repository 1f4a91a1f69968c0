"""What is made of a sweep that is over: its report, its table, its registered winner; at its end, or later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.driver.removal import remove_checkpoints
from sweeps.errors import BadUsage
from sweeps.home import Home, SweepFolder
from sweeps.running.live import add_to_log
from tracking import names
from tracking.analysis.leaderboard import find_standing, find_winner
from tracking.analysis.note import build_note, build_verdict_tags
from tracking.names import STAGE_CONFIRM, SweepState, TrialState
from tracking.recording.recorder import open_ended
from tracking.report.write import write_report, write_trials_csv
from tracking.store import registry
from tracking.store.queries import load_sweep
from trainer.failures import describe_error

if TYPE_CHECKING:
    from tracking.table import SweepTable, TrialRow
    from trainer.data.dataset import Dataset

LoadData = Callable[[], "Dataset"]


@dataclass(frozen=True)
class Settled:
    """A sweep after all that was left of its end has been done.

    Attributes:
        table: As MLflow has it now.
        num_delivered: Events that MLflow had not got, and has now.
        done: What else was left and is done now, each a sentence.
        problem: Why something could not be done; "" for nothing.
    """

    table: SweepTable
    num_delivered: int
    done: tuple[str, ...]
    problem: str


def settle(sweep_id: str, home: Home, *, writes_report: bool = True) -> Settled:
    """Does what the end of a sweep has left undone, since MLflow was away or its process was killed.

    What waits in the journal is sent, report and table are written anew, and, where the sweep is over, they are stored
    with its run and its winner is registered. Of a sweep that still runs, report and table are written as it stands.

    Args:
        sweep_id: The sweep.
        home: Where its results are.
        writes_report: Whether report and table are written though nothing was left undone.

    Raises:
        SweepNotFound: When MLflow does not hold the sweep.
        TrackingUnavailable: When MLflow cannot be read or written; nothing is lost.
    """
    folder = home.folder(sweep_id)
    folder.path.mkdir(parents=True, exist_ok=True)  # not there for a sweep that ran elsewhere
    done, problem = [], ""
    with open_ended(home.tracking_uri, folder.journal) as ended:
        table = load_sweep(sweep_id, home.tracking_uri, folder.path)
        is_left = ended is not None and ended.lacks_result
        result = write_result(table, folder) if writes_report or is_left else None
        if ended and is_left and result:
            ended.attach_result(*result)
            done.append("its report is stored with its run in MLflow")
        is_over = table.state in (SweepState.COMPLETED, SweepState.FAILED)
        if (
            ended
            and is_over
            and folder.trials_with_checkpoints()
            and (winner := _find_unregistered(table, home, folder))
        ):
            problem = register_winner(table, lambda: _load_data(table, folder), home, folder)
            if not problem:
                done.append(f"its winner, {winner.trial_id}, is registered as a model")
    return Settled(table, ended.num_delivered if ended else 0, tuple(done), problem)


def _find_unregistered(table: SweepTable, home: Home, folder: SweepFolder) -> TrialRow | None:
    """The winner of a sweep that is over, where its network is here and not in MLflow."""
    is_over = table.state in (SweepState.COMPLETED, SweepState.FAILED)
    winner = find_winner(table) if is_over and folder.trials_with_checkpoints() else None
    if winner is None or not folder.checkpoints(winner.trial_id):
        return None
    is_registered = registry.is_registered(home.tracking_uri, table.project, table.sweep_id, winner.trial_id)
    return None if is_registered else winner


def _load_data(table: SweepTable, folder: SweepFolder) -> Dataset:
    """The images that a sweep was trained on.

    Raises:
        BadUsage: They are others now.
    """
    from sweeps.spec import load_recorded_text
    from sweeps.spec.arms import constant_of
    from trainer.data.load import load_dataset

    spec = load_recorded_text(folder.resolved_file.read_text("utf-8"), folder.resolved_file.name)
    name, data_dir = constant_of(spec, "dataset"), constant_of(spec, "data_dir")
    data = load_dataset(str(name), None if data_dir is None else str(data_dir))
    known = table.manifest.get("data")
    if not isinstance(known, Mapping) or data.digest != known.get("digest"):
        raise BadUsage(f"the images of {data_dir or name} are not those that it was trained on; put them back")
    return data


def write_result(table: SweepTable, folder: SweepFolder) -> tuple[str, tuple[Path, ...], dict[str, str]]:
    """Writes report and table; returns the note for the sweep's run, the files to keep with it, and its tags."""
    write_report(table, folder.report)
    write_trials_csv(table, folder.trials)
    logs = sorted(set(folder.logs.glob("*.log")) - {folder.libraries_log})
    files = (folder.report, folder.trials, folder.manifest, *logs)
    return build_note(table), files, build_verdict_tags(table)


def register_winner(table: SweepTable, load_data: LoadData, home: Home, folder: SweepFolder) -> str:
    """Registers the best retrained network as a model of MLflow; says why where that fails. "" for none to register.

    Checkpoints of retrainings are removed after that, all but one that could not be registered, and one of each other
    arm: with more seeds or trials that may win.

    Args:
        table: The whole sweep.
        load_data: Gives its images; called where there is a network to register.
        home: Where its results are.
        folder: Its files.
    """
    winner = find_winner(table)
    has_network = winner is not None and bool(folder.checkpoints(winner.trial_id))
    problem = _register(winner, table, load_data, home, folder) if winner and has_network else ""
    standing = {found.trial_id for arm in table.arms if (found := find_standing(table, arm)) is not None}
    kept = standing - ({winner.trial_id} if winner and not problem else set())
    if (
        winner
        and not has_network
        and not registry.is_registered(home.tracking_uri, table.project, table.sweep_id, winner.trial_id)
    ):
        problem = (
            f"the winner is {winner.trial_id}, of which no network is left, since another trial won before: it is not "
            "registered as a model"
        )
    retrained = [
        trial for trial in table.trials if trial.stage == STAGE_CONFIRM and trial.state is TrialState.COMPLETED
    ]
    unremoved = remove_checkpoints(folder, {trial.trial_id: int(trial.trial_id in kept) for trial in retrained})
    if unremoved:
        add_to_log(folder.driver_log, f"{unremoved}\n")
    return problem


def _register(winner: TrialRow, table: SweepTable, load_data: LoadData, home: Home, folder: SweepFolder) -> str:
    from trainer.export import build_example, load_classifier

    try:
        data = load_data()
        network = load_classifier(folder.checkpoints(winner.trial_id)[0], winner.parameters, data)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # code of the user's; what has been found out is not lost
        return f"the winner, {winner.trial_id}, is not registered as a model: {describe_error(error)[0]}"
    tags = {names.TRIAL_ID: winner.trial_id, names.TRIAL_ARM: winner.arm, names.SWEEP_DATASET: data.name}
    tags[names.TEST_ACCURACY] = f"{winner.summary[names.TEST_ACCURACY]:.4f}"
    facts = {"classes": list(data.classes), "input": "images, 3 channels of 0 to 255, 32 rows, 32 columns; float32"}
    model = registry.WinnerModel(network, build_example(data), facts, tags)
    return registry.register_winner(home.tracking_uri, table.project, table.sweep_id, model)
