"""Runs a sweep from its spec to its report; the only file that makes a Tuner."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sweeps.driver.callback import SweepCallback, keep_error
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
from sweeps.driver.preflight import Prepared, check_storage, prepare
from sweeps.driver.prior import Prior, digest_prior, load_prior
from sweeps.driver.record import build_record, write_manifest
from sweeps.driver.removal import CheckpointRemover
from sweeps.driver.room import RoomWatch, interrupted_by_full_disk, without_snapshots
from sweeps.driver.scheduler import ArmScheduler
from sweeps.driver.searcher import ArmSearcher
from sweeps.errors import BadUsage, Interrupted, Unreachable
from sweeps.home import Home, SweepFolder
from sweeps.library_output import keep_library_output, terminal_error
from sweeps.plan.plan import Plan
from sweeps.running.lifecycle import close_unfinished
from sweeps.running.live import log_to
from sweeps.running.repair import repair_journal
from sweeps.running.replay import describe_found, replay
from sweeps.running.same_sweep import check_same_prior
from sweeps.running.sweep import Listener, RunningSweep, TrialEvent
from sweeps.space.arms import Arm
from sweeps.spec import SweepSpec, dump_spec
from sweeps.spec.arms import build_arms, constant_of, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking.names import SweepState
from tracking.ranking import Goal
from tracking.recording.journal import Journal, JournalBusy
from tracking.recording.recorder import Recorder
from tracking.store.connection import TrackingUnavailable
from tracking.store.resumable import NotResumable, check_resumable
from trainer.trainable import CifarTrainable

MAX_LOST_PROCESSES = 3  # restarts of a trial whose process or node was lost


def run_sweep(
    spec: SweepSpec,
    home: Home,
    *,
    sweep_file: str = "",
    sweep_id: str = "",
    listeners: Sequence[Listener] = (),
    measure: bool = False,
) -> SweepOutcome:
    """Runs a sweep and writes its report.

    Args:
        spec: What to run.
        home: Where results go.
        sweep_file: The file as the user wrote it, kept beside the result; empty for a spec made in Python.
        sweep_id: The sweep's id; empty for a new one.
        listeners: Called in the driver's loop at every event; must not wait.
        measure: Whether to train a few steps first, so that the report can say how long it was expected to take.

    Raises:
        BadUsage: When the data set, the storage or the resources do not allow the sweep.
        Unreachable: When Ray or MLflow does not answer before the start.
    """
    if sweep_id and home.folder(sweep_id).has_begun:
        raise BadUsage(f"{sweep_id}: it has been started already; go on with `sweeps resume {sweep_id}`")
    check_storage(home.path)
    folder = home.folder(sweep_id) if sweep_id else home.create_folder(spec.slug)
    folder.path.mkdir(exist_ok=True)
    keep_library_output(folder.libraries_log)
    try:
        with _open_journal(folder) as journal, borrow_ray():
            folder.sweep_file.write_text(sweep_file or dump_spec(spec), encoding="utf-8")
            folder.resolved_file.write_text(dump_spec(spec), encoding="utf-8")  # from here on it is found by its id
            prepared = prepare(spec, home)
            folder.resolved_file.write_text(dump_spec(prepared.spec), encoding="utf-8")
            plan = plan_prepared(prepared, home, measure=measure)
            if warning := check_room(plan, home):
                print(warning, file=terminal_error())  # before the first trial
            return _run(prepared, home, folder, journal, listeners, plan=plan.to_json())
    except JournalBusy:
        raise
    except BaseException as error:
        if not folder.has_begun:  # nothing ran: leave no empty sweep behind
            shutil.rmtree(folder.path, ignore_errors=True)
        elif isinstance(error, KeyboardInterrupt):
            raise Interrupted(f"interrupted; go on with: sweeps resume {folder.path.name}") from error
        raise


def resume_sweep(
    sweep_id: str,
    home: Home,
    *,
    overrides: Sequence[str] = (),
    retry_failed: bool = False,
    more: MoreRetrainings | None = None,
    extends: bool = False,
    listeners: Sequence[Listener] = (),
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
            prepared = prepare(spec, home, history.begun)
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


def plan_sweep(spec: SweepSpec, home: Home, *, measure: bool) -> Plan:
    """What a sweep would come to, on the Ray that it would run on; everything that it needs is checked as well.

    Args:
        spec: The sweep.
        home: Where results would go.
        measure: Whether to train a few steps of each cost, or to leave the times out.

    Raises:
        BadUsage: When the data set, the storage or the resources do not allow the sweep.
        Unreachable: When Ray or MLflow does not answer.
    """
    with borrow_ray():
        return plan_prepared(prepare(spec, home), home, measure=measure)


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
    try:
        with (
            remote_requests(sweep, home.tracking_uri),
            after_tune(),
            interrupted_by_full_disk(sweep),
            live_report(sweep, home),
        ):
            _tune(sweep, arms, prior, prepared)
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


def _tune(sweep: RunningSweep, arms: tuple[Arm, ...], prior: Prior, prepared: Prepared) -> None:
    """Runs Tune until nothing is left to try, or a signal stops it."""
    from ray import tune

    resources = {"cpu": sweep.spec.resources.cpu, "gpu": sweep.spec.resources.gpu}
    trainable = tune.with_resources(tune.with_parameters(CifarTrainable, data=prepared.data), resources)
    room = RoomWatch(sweep)
    num_drivers = len(list(sweep.folder.ray.glob("*")))  # before this one
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=ArmSearcher(sweep, arms, prior, room),
            scheduler=ArmScheduler(sweep),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_name_trial,
            trial_dirname_creator=_name_trial,
        ),
        run_config=tune.RunConfig(
            name=f"trials-{num_drivers:04d}",  # a folder of its own: Tune would write over the checkpoints of another
            storage_path=str(sweep.folder.ray),
            callbacks=[SweepCallback(sweep, room)],
            # Not at the end, as is the default: a trial that is over needs none, and a failed one has none.
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_LOST_PROCESSES),
            progress_reporter=_build_silent_reporter(),
            verbose=0,
        ),
    )
    with without_snapshots():
        tuner.fit()


def _build_silent_reporter() -> Any:
    """In a notebook Tune's own reporter would clear the cell's output, at every verbosity."""
    from ray.tune import ProgressReporter

    class SilentReporter(ProgressReporter):  # type: ignore[misc]
        def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
            return False

    return SilentReporter()


def _name_trial(trial: Any) -> str:
    """A name, and a folder for its checkpoints, for each time that a trial goes on after a pause."""
    part = trial.config["part"]
    return f"{trial.config['trial_id']}_{part:03d}" if part else str(trial.config["trial_id"])
