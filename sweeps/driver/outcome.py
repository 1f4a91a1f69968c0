"""How a sweep ends: its state, its report, its registered winner, its exit code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.driver.preflight import Prepared
from sweeps.driver.settling import register_winner, write_result
from sweeps.errors import ExitCode
from sweeps.home import Home, SweepFolder
from sweeps.running.lifecycle import close_unfinished
from sweeps.running.sweep import RunningSweep
from sweeps.trials.without_result import tell_without_result
from tracking.names import SweepState
from tracking.store.connection import describe
from tracking.store.queries import load_sweep

if TYPE_CHECKING:
    from tracking.table import SweepTable


DELIVERY_SECONDS = 60.0  # how long the end of a sweep waits for MLflow
HURRIED_SECONDS = 3.0  # how long one that was interrupted twice does
STORE_SECONDS = 20.0  # how long one that was interrupted as it began does: a new store is made by then


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
    state = _settle_state(sweep)
    result: tuple[str, tuple[Path, ...], dict[str, str]] = ("", (), {})
    table, problem, unread = None, sweep.halted, ""
    patience = HURRIED_SECONDS if sweep.recorder.disk_problem else DELIVERY_SECONDS  # what is not written is not sent
    if sweep.recorder.flush(timeout_seconds=patience):
        try:
            table = load_sweep(sweep.sweep_id, home.tracking_uri, sweep.folder.path)
            table = replace(table, state=str(state), seconds=sweep.elapsed_seconds())  # closed after its report
            result = write_result(table, sweep.folder)
        except Exception as error:  # noqa: BLE001  # the border: the result is in the journal, whatever hinders its report
            unread = describe(error, home.tracking_uri)
        else:
            if not sweep.interrupted:
                problem = problem or register_winner(table, lambda: prepared.data, home, sweep.folder)
    sweep.recorder.end_sweep(state, *result)
    return _build_outcome(sweep, state, table, problem, unread, is_delivered=_deliver(sweep, patience))


def end_at_once(sweep: RunningSweep) -> SweepOutcome:
    """Closes a sweep that was interrupted, so that it can be resumed; waits for nothing but a moment for MLflow."""
    seconds = HURRIED_SECONDS if sweep.interrupted else STORE_SECONDS
    sweep.interrupt()
    close_unfinished(sweep, "interrupted")
    sweep.recorder.end_sweep(SweepState.INTERRUPTED)
    is_delivered = _deliver(sweep, seconds)
    return _build_outcome(sweep, SweepState.INTERRUPTED, None, sweep.halted, "", is_delivered=is_delivered)


def _settle_state(sweep: RunningSweep) -> SweepState:
    if sweep.interrupted:
        return SweepState.INTERRUPTED
    return SweepState.COMPLETED if sweep.ledger.num_succeeded() else SweepState.FAILED


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
    else:
        nothing = tell_without_result(sweep.ledger, sweep.sweep_id)
        problem = "; ".join(part for part in (problem, nothing) if part)
    failures = tuple(
        (
            entry.trial_id,
            entry.stop_reason,
            str(log) if (log := sweep.folder.trial_log(entry.trial_id)).exists() else "",
        )
        for entry in sweep.ledger.failed()
    )
    return SweepOutcome(sweep.sweep_id, state, exit_code, sweep.folder, table, problem, failures)


def _exit_code(sweep: RunningSweep) -> ExitCode:
    if sweep.ledger.num_succeeded() == 0:
        return ExitCode.NOTHING_SUCCEEDED
    return ExitCode.SOME_TRIALS_FAILED if sweep.ledger.failed() else ExitCode.DONE
