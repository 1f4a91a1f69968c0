"""How a sweep ends: its state, its report, its registered winner, its exit code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.driver.preflight import Prepared
from sweeps.driver.removal import remove_checkpoints
from sweeps.errors import ExitCode
from sweeps.home import Home, SweepFolder
from sweeps.running.lifecycle import close_unfinished
from sweeps.running.live import add_to_log
from sweeps.running.sweep import RunningSweep
from tracking import names
from tracking.analysis.leaderboard import build_leaderboard, find_winner, format_markdown
from tracking.names import STAGE_CONFIRM, SweepState, TrialState
from tracking.report.write import write_report, write_trials_csv
from tracking.store.connection import describe
from tracking.store.queries import load_sweep
from tracking.store.registry import WinnerModel, is_registered, register_winner
from trainer.data.dataset import Dataset
from trainer.failures import describe_error

if TYPE_CHECKING:
    from tracking.table import SweepTable, TrialRow


DELIVERY_SECONDS = 60.0  # how long the end of a sweep waits for MLflow
HURRIED_SECONDS = 3.0  # how long one that was interrupted twice does


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended and where its result is."""

    sweep_id: str
    state: SweepState
    exit_code: ExitCode
    folder: SweepFolder
    table: SweepTable | None  # None when MLflow could not be read at the end
    problem: str  # one sentence on what went wrong; "" when nothing did
    failures: tuple[tuple[str, str, str], ...]  # (trial id, reason, log file)


def finish(sweep: RunningSweep, prepared: Prepared, home: Home) -> SweepOutcome:
    """Settles the sweep's state, writes report and table from what MLflow holds, and closes the parent run.

    What MLflow does not take or give now changes neither the state nor what the journal has.
    """
    state, note = _settle_state(sweep), ""
    files: tuple[Path, ...] = ()
    table, problem, unread = None, sweep.halted, ""
    patience = HURRIED_SECONDS if sweep.recorder.disk_problem else DELIVERY_SECONDS  # what is not written is not sent
    if sweep.recorder.flush(timeout_seconds=patience):
        try:
            table = load_sweep(sweep.sweep_id, home.tracking_uri, sweep.folder.path)
            table = replace(table, state=str(state), seconds=sweep.elapsed_seconds())  # closed after its report
            note, files = _write_result(table, sweep.folder)
        except Exception as error:  # noqa: BLE001  # the border: the result is in the journal, whatever hinders its report
            unread = describe(error, home.tracking_uri)
        else:
            if not sweep.interrupted:
                problem = problem or _register_winner(table, prepared.data, home, sweep.folder)
    sweep.recorder.end_sweep(state, note, files)
    return _build_outcome(sweep, state, table, problem, unread, is_delivered=_deliver(sweep, patience))


def end_at_once(sweep: RunningSweep) -> SweepOutcome:
    """Closes a sweep that was interrupted, so that it can be resumed; waits for nothing but a moment for MLflow."""
    sweep.interrupt()
    close_unfinished(sweep, "interrupted")
    sweep.recorder.end_sweep(SweepState.INTERRUPTED)
    is_delivered = _deliver(sweep, HURRIED_SECONDS)
    return _build_outcome(sweep, SweepState.INTERRUPTED, None, sweep.halted, "", is_delivered=is_delivered)


def _settle_state(sweep: RunningSweep) -> SweepState:
    if sweep.interrupted:
        return SweepState.INTERRUPTED
    return SweepState.COMPLETED if sweep.ledger.num_succeeded() else SweepState.FAILED


def _write_result(table: SweepTable, folder: SweepFolder) -> tuple[str, tuple[Path, ...]]:
    """Writes report and table; returns the note for the sweep's run, and the files to keep with it."""
    write_report(table, folder.report)
    write_trials_csv(table, folder.trials)
    logs = sorted(set(folder.logs.glob("*.log")) - {folder.libraries_log})
    return format_markdown(build_leaderboard(table)), (folder.report, folder.trials, folder.manifest, *logs)


def _deliver(sweep: RunningSweep, seconds: float) -> bool:
    """Sends what waits, and whether that was all; Ctrl+C ends the wait, and nothing else: the sweep has ended."""
    try:
        return sweep.recorder.flush(timeout_seconds=seconds)
    except KeyboardInterrupt:
        return False


def _build_outcome(
    sweep: RunningSweep, state: SweepState, table: SweepTable | None, problem: str, unread: str, *, is_delivered: bool
) -> SweepOutcome:
    recorder, exit_code = sweep.recorder, _exit_code(sweep)
    command = f"sweeps report {sweep.sweep_id}"
    if state is SweepState.INTERRUPTED:
        exit_code = ExitCode.INTERRUPTED  # and what MLflow has not got yet is sent when it is resumed
        if recorder.disk_problem:
            lost = f"{recorder.num_unwritten} events found no room and are lost; what they tell of is trained again"
            problem = f"{problem}; {lost}" if problem else lost
    elif not is_delivered:
        exit_code = ExitCode.UNREACHABLE
        problem = (
            f"MLflow has not got everything ({recorder.problem or 'it was interrupted'}); {recorder.pending} events "
            f"are kept in {sweep.folder.journal}: run `{command}` when it is back"
        )
    elif unread:
        exit_code = ExitCode.UNREACHABLE
        problem = f"the sweep is {state}, but its report could not be written now ({unread}): run `{command}` later"
    failures = tuple(
        (
            entry.trial_id,
            entry.stop_reason,
            str(log) if (log := sweep.folder.trial_log(entry.trial_id)).exists() else "",
        )
        for entry in sweep.ledger.failed()
    )
    return SweepOutcome(sweep.sweep_id, state, exit_code, sweep.folder, table, problem, failures)


def _register_winner(table: SweepTable, data: Dataset, home: Home, folder: SweepFolder) -> str:
    """Registers the best retrained network as a model of MLflow; says why where that fails. "" for none to register.

    Checkpoints of retrainings are removed after that, all but one that could not be registered.
    """
    winner = find_winner(table)
    has_network = winner is not None and bool(folder.checkpoints(winner.trial_id))
    problem = _register(winner, table, data, home, folder) if winner and has_network else ""
    kept = winner.trial_id if winner and problem else ""
    if (
        winner
        and not has_network
        and not is_registered(home.tracking_uri, table.project, table.sweep_id, winner.trial_id)
    ):
        problem = (
            f"the winner is {winner.trial_id}, of which no network is left, since another trial won before: it is not "
            "registered as a model"
        )
    retrained = [
        trial for trial in table.trials if trial.stage == STAGE_CONFIRM and trial.state is TrialState.COMPLETED
    ]
    unremoved = remove_checkpoints(folder, {trial.trial_id: int(trial.trial_id == kept) for trial in retrained})
    if unremoved:
        add_to_log(folder.driver_log, f"{unremoved}\n")
    return problem


def _register(winner: TrialRow, table: SweepTable, data: Dataset, home: Home, folder: SweepFolder) -> str:
    from trainer.export import build_example, load_classifier

    try:
        network = load_classifier(folder.checkpoints(winner.trial_id)[0], winner.parameters, data)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # code of the user's; what has been found out is not lost
        return f"the winner, {winner.trial_id}, is not registered as a model: {describe_error(error)[0]}"
    tags = {names.TRIAL_ID: winner.trial_id, names.TRIAL_ARM: winner.arm, names.SWEEP_DATASET: data.name}
    tags[names.TEST_ACCURACY] = f"{winner.summary[names.TEST_ACCURACY]:.4f}"
    facts = {"classes": list(data.classes), "input": "images, 3 channels of 0 to 255, 32 rows, 32 columns; float32"}
    model = WinnerModel(network, build_example(data), facts, tags)
    return register_winner(home.tracking_uri, table.project, table.sweep_id, model)


def _exit_code(sweep: RunningSweep) -> ExitCode:
    if sweep.ledger.num_succeeded() == 0:
        return ExitCode.NOTHING_SUCCEEDED
    return ExitCode.SOME_TRIALS_FAILED if sweep.ledger.failed() else ExitCode.DONE
