"""Runs a sweep from its spec to its report. Ray Tune is imported while the sweep prepares, not before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sweeps.driver.cluster import borrow_ray
from sweeps.driver.history import (
    History,
    MoreRetrainings,
    add_retrainings,
    extend,
    read_history,
    read_spec,
    restore_files,
)
from sweeps.driver.interrupts import after_tune, graceful_interrupts, remote_requests
from sweeps.driver.live_report import live_report
from sweeps.driver.measuring import check_room, plan_prepared
from sweeps.driver.outcome import DELIVERY_SECONDS, SweepOutcome, end_at_once, finish
from sweeps.driver.pace import Pace
from sweeps.driver.preflight import Prepared, check_storage, prepare
from sweeps.driver.prior import Prior, digest_prior, load_prior
from sweeps.driver.record import build_record, write_manifest
from sweeps.driver.removal import CheckpointRemover
from sweeps.driver.room import interrupted_by_full_disk
from sweeps.errors import BadUsage, Interrupted, Unreachable
from sweeps.home import Home, SweepFolder
from sweeps.library_output import keep_library_output
from sweeps.plan.plan import Plan
from sweeps.plan.words import summarize
from sweeps.running.error_log import keep_error
from sweeps.running.lifecycle import close_unfinished
from sweeps.running.live import log_to
from sweeps.running.preparation import Preparation
from sweeps.running.repair import repair_journal
from sweeps.running.replay import describe_found, replay
from sweeps.running.same_sweep import check_same_prior
from sweeps.running.sweep import Listener, RunningSweep, TrialEvent
from sweeps.space.arms import Arm
from sweeps.spec import SweepSpec, dump_spec
from sweeps.spec.arms import build_arms, constant_of, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking.files import write_file
from tracking.names import SweepState
from tracking.ranking import Goal
from tracking.recording.journal import Journal, JournalBusy
from tracking.recording.recorder import Recorder
from tracking.store.connection import TrackingUnavailable
from tracking.store.resumable import NotResumable, check_resumable


def run_sweep(
    spec: SweepSpec,
    home: Home,
    *,
    sweep_file: str = "",
    sweep_id: str = "",
    listeners: Sequence[Listener] = (),
    measure: bool = False,
    preparation: Preparation | None = None,
) -> SweepOutcome:
    """Runs a sweep and writes its report.

    Args:
        spec: What to run.
        home: Where results go.
        sweep_file: The file as the user wrote it, kept beside the result; empty for a spec made in Python.
        sweep_id: The sweep's id; empty for a new one.
        listeners: Called in the driver's loop at every event; must not wait.
        measure: Whether to train a few steps of each kind of trial first; else the time is reckoned from the first
            epochs of its trials.
        preparation: Hears of what is done before the first trial, and of the plan; None for nobody.

    Raises:
        BadUsage: When the data set, the storage or the resources do not allow the sweep.
        Unreachable: When Ray or MLflow does not answer before the start.
    """
    preparation = preparation or Preparation()
    if sweep_id and home.folder(sweep_id).has_begun:
        raise BadUsage(f"{sweep_id}: it has been started already; go on with `sweeps resume {sweep_id}`")
    check_storage(home.path)
    folder = home.folder(sweep_id) if sweep_id else home.create_folder(spec.slug)
    folder.path.mkdir(exist_ok=True)
    keep_library_output(folder.libraries_log)
    try:
        with _open_journal(folder) as journal, borrow_ray():
            write_file(folder.sweep_file, sweep_file or dump_spec(spec))
            write_file(folder.resolved_file, dump_spec(spec))  # from here on it is found by its id
            prepared = prepare(spec, home, preparation=preparation, measures_footprint=measure)
            write_file(folder.resolved_file, dump_spec(prepared.spec))
            plan = _announce_plan(prepared, home, measure=measure, preparation=preparation)
            pace = () if measure else (Pace(plan, prepared.data, home, preparation.say),)
            return _run(prepared, home, folder, journal, (*listeners, *pace), plan=plan.to_json())
    except JournalBusy:
        raise
    except BaseException as error:
        if not folder.has_begun:  # nothing ran: leave no empty sweep behind
            shutil.rmtree(folder.path, ignore_errors=True)
        elif isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"interrupted; go on with: sweeps resume {folder.path.name}") from error
        raise


def _announce_plan(prepared: Prepared, home: Home, *, measure: bool, preparation: Preparation) -> Plan:
    plan = plan_prepared(prepared, home, measure=measure, preparation=preparation)
    preparation.say(summarize(plan))
    if warning := check_room(plan, home):
        preparation.say(warning)
    return plan


def resume_sweep(
    sweep_id: str,
    home: Home,
    *,
    overrides: Sequence[str] = (),
    retry_failed: bool = False,
    more: MoreRetrainings | None = None,
    extends: bool = False,
    listeners: Sequence[Listener] = (),
    preparation: Preparation | None = None,
) -> SweepOutcome:
    """Goes on with an interrupted or crashed sweep where its journal ends, unfinished trials from their checkpoints.

    Args:
        sweep_id: The sweep.
        home: Where its results are.
        overrides: Each `budget.key=value`, greater than it was; of a sweep that is extended also wider ranges.
        retry_failed: Whether trials that failed run again.
        more: Configurations or seeds to retrain beyond those that the sweep was begun with; None for none.
        extends: Whether its search goes on, larger, though it has ended.
        listeners: As in `run_sweep`.
        preparation: As in `run_sweep`.

    Raises:
        BadUsage: When there is nothing to resume, what changes the sweep's results has changed, or MLflow does not hold
            the sweep any more.
        JournalBusy: When the sweep is running.
        Unreachable: When Ray or MLflow does not answer.
    """
    folder = home.folder(sweep_id)
    if not folder.has_begun:
        raise BadUsage(_never_began(sweep_id))
    keep_library_output(folder.libraries_log)
    with _open_journal(folder) as journal:
        if not folder.has_begun:
            raise BadUsage(_never_began(sweep_id))
        repair_journal(journal, folder, home.tracking_uri)
        history = read_history(sweep_id, journal.events, retry_failed=retry_failed)
        if extends:
            spec, history = extend(folder, history, overrides)
        else:
            spec = read_spec(folder, history, overrides)
        if more is not None:
            spec = add_retrainings(spec, more, history)
        check_same_prior(history.begun, digest_prior(folder.prior))
        _check_store(home, sweep_id, journal)
        with borrow_ray():
            prepared = prepare(spec, home, history.begun, preparation)
            restore_files(folder, history, spec)
            return _run(prepared, home, folder, journal, listeners, history=history)


def _never_began(sweep_id: str) -> str:
    return f"{sweep_id}: it ended before its first trial; start it again with `sweeps run`"


@contextmanager
def _open_journal(folder: SweepFolder) -> Iterator[Journal]:
    """The sweep's journal. From here on no other process can run the sweep; nothing slow comes before it."""
    try:
        journal = Journal(folder.journal)
    except OSError as error:
        raise BadUsage(f"{folder.journal}: it cannot be opened and locked ({error.strerror}); allow it") from error
    try:
        yield journal
    finally:
        journal.close()


def _check_store(home: Home, sweep_id: str, journal: Journal) -> None:
    """Finds out whether MLflow still holds a sweep, before anything is trained for it."""
    delivered = journal.delivered
    try:
        check_resumable(home.tracking_uri, sweep_id, num_delivered=delivered, artifact_root=home.artifact_root)
    except TrackingUnavailable as error:
        raise Unreachable(str(error)) from error
    except NotResumable as error:
        raise BadUsage(str(error)) from error


def plan_sweep(spec: SweepSpec, home: Home, *, measure: bool, preparation: Preparation | None = None) -> Plan:
    """What a sweep would come to, on the Ray that it would run on; everything that it needs is checked as well.

    Args:
        spec: The sweep.
        home: Where results would go.
        measure: Whether to train a few steps of each cost, or to leave the times out.
        preparation: As in `run_sweep`.

    Raises:
        BadUsage: When the data set, the storage or the resources do not allow the sweep.
        Unreachable: When Ray or MLflow does not answer.
    """
    with borrow_ray():
        prepared = prepare(spec, home, preparation=preparation, measures_footprint=True)
        return plan_prepared(prepared, home, measure=measure, preparation=preparation)


def _run(
    prepared: Prepared,
    home: Home,
    folder: SweepFolder,
    journal: Journal,
    listeners: Sequence[Listener],
    *,
    plan: Mapping[str, Any] | None = None,
    history: History | None = None,
) -> SweepOutcome:
    spec, sweep_id = prepared.spec, folder.path.name
    arms = build_arms(spec)
    prior = load_prior(spec, arms, home.tracking_uri, folder.prior)
    manifest = write_manifest(prepared, folder, plan or {}, history)
    arm_names = tuple(arm.name for arm in arms)
    num_trials = num_search_trials(spec, arms)
    num_epochs = int(constant_of(spec, "epochs")) if spec.early_terminate is not None else 0
    recorder = Recorder(home.tracking_uri, journal, artifact_root=home.artifact_root)
    sweep = RunningSweep(
        sweep_id=sweep_id,
        spec=spec,
        ledger=Ledger(Goal(spec.metric.goal), arm_names),
        rules=ArmRules(arm_names, spec.early_terminate, num_epochs, num_trials, spec.seed),
        recorder=recorder,
        folder=folder,
        num_trials=num_trials,
        clock_ms=recorder.now_ms,
        slots=prepared.slots,
        listeners=[keep_error, *listeners, log_to(folder.driver_log)],
    )
    remover = CheckpointRemover(sweep)
    try:
        again = history.again if history else frozenset()
        replay(sweep, recorder.past, again=again)
        sweep.found = describe_found(sweep, again, recorder.pending) if history else ""
        remover.start()
        record, now_ms = build_record(prepared, folder, arms, manifest, history), sweep.clock_ms()
        sweep.begin(now_ms)
        with graceful_interrupts(sweep):
            recorder.start_sweep(record, time_ms=now_ms)
            return _drive(sweep, arms, prior, prepared, home)
    finally:
        with suppress(KeyboardInterrupt):  # the sweep has ended, and its outcome is told all the same
            remover.close()
        with suppress(KeyboardInterrupt):
            recorder.close(timeout_seconds=0.0)


def _drive(sweep: RunningSweep, arms: tuple[Arm, ...], prior: Prior, prepared: Prepared, home: Home) -> SweepOutcome:
    """Runs a sweep that has been opened, and closes it, whatever ends it."""
    from sweeps.driver.tuning import run_tune

    try:
        with (
            remote_requests(sweep, home.tracking_uri),
            after_tune(),
            interrupted_by_full_disk(sweep),
            live_report(sweep, home),
        ):
            run_tune(sweep, arms, prior, prepared.data)
        if not sweep.finished:  # whatever made Tune end: what is left can be resumed
            sweep.interrupt()
        sweep.notify(None, TrialEvent.STEP)
        close_unfinished(sweep, "interrupted" if sweep.interrupted else sweep.halted or "ended with the sweep")
        return finish(sweep, prepared, home)
    except KeyboardInterrupt:
        return end_at_once(sweep)
    except BaseException:
        close_unfinished(sweep, "the driver failed")
        sweep.recorder.end_sweep(SweepState.FAILED, "The driver failed.", ())
        sweep.recorder.flush(timeout_seconds=DELIVERY_SECONDS)
        raise
