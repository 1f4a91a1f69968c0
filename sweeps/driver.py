"""Runs a sweep from its spec to its report; the only file that makes a Tuner."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.budgets import num_search_trials
from sweeps.callbacks import SweepCallback, close_unfinished
from sweeps.cluster import count_slots, start_ray, stop_ray
from sweeps.errors import BadUsage, ExitCode, Unreachable
from sweeps.home import Home, SweepFolder, build_sweep_id
from sweeps.ledger import Ledger
from sweeps.manifest import build_manifest
from sweeps.schedulers import ArmRungs, ArmScheduler
from sweeps.searchers import ArmSearcher
from sweeps.space import Arm, build_arms, list_values, searched
from sweeps.spec import Constant, SweepSpec, dump_spec, load_spec
from sweeps.state import Listener, RunningSweep, register
from tracking import names
from tracking.leaderboard import build_leaderboard, format_markdown
from tracking.names import SweepState
from tracking.queries import load_sweep
from tracking.recorder import Recorder, SweepRecord, TrackingUnavailable, check_tracking
from tracking.report import write_report, write_trials_csv
from trainer.config import SETTINGS, ConfigError
from trainer.data import Dataset, DataUnavailable, build_split, load_dataset, split_for_training
from trainer.trainable import CifarTrainable

if TYPE_CHECKING:
    from tracking.table import SweepTable

MIN_FREE_BYTES = 200 * 2**20
DELIVERY_SECONDS = 60.0  # how long the end of a sweep waits for MLflow
MAX_LOST_PROCESSES = 3  # restarts of a trial whose process or node was lost


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


def run_sweep(spec: SweepSpec, home: Home, *, sweep_file: str = "", listeners: Sequence[Listener] = ()) -> SweepOutcome:
    """Runs a sweep and writes its report.

    Args:
        spec: What to run.
        home: Where results go.
        sweep_file: The file as the user wrote it, kept beside the result; empty for a spec made in Python.
        listeners: Called in the driver's loop at every event; must not wait.

    Raises:
        BadUsage: When the data set, the storage or the resources do not allow the sweep.
        Unreachable: When Ray or MLflow does not answer before the start.
    """
    folder = home.folder(build_sweep_id(spec.slug))
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        prepared = _prepare(spec, home)
        folder.sweep_file.write_text(sweep_file or dump_spec(spec))
        folder.resolved_file.write_text(dump_spec(prepared.spec))
        return _run(prepared, home, folder, listeners, resume=False)
    except BaseException:
        if not folder.journal.exists():  # nothing ran: leave no empty sweep behind
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    finally:
        stop_ray()


def resume_sweep(sweep_id: str, home: Home, *, listeners: Sequence[Listener] = ()) -> SweepOutcome:
    """Goes on with an interrupted or crashed sweep from Tune's last snapshot.

    Raises:
        BadUsage: When there is nothing to resume.
        Unreachable: When Ray or MLflow does not answer.
    """
    folder = home.folder(sweep_id)
    if not any((folder.ray / "trials").glob("experiment_state-*.json")):
        raise BadUsage(f"{sweep_id}: it ended before its first snapshot; start it again with `sweeps run`")
    try:
        return _run(_prepare(load_spec(folder.resolved_file), home), home, folder, listeners, resume=True)
    finally:
        stop_ray()


@dataclass(frozen=True)
class Prepared:
    """A sweep whose preconditions hold."""

    spec: SweepSpec  # with the fallback applied
    data: Dataset
    cluster: dict[str, float]
    slots: int
    notices: tuple[str, ...]


def _prepare(spec: SweepSpec, home: Home) -> Prepared:
    """Checks everything that would otherwise fail hours later; the slow checks run side by side."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        tracking = pool.submit(check_tracking, home.tracking_uri, timeout_seconds=15.0)
        _check_storage(home.path)
        spec, data, notices = _load_data(spec)
        _check_fit(spec, data)
        cluster = start_ray(sum(array.nbytes for array in (data.train_images_NHWC, data.test_images_NHWC)))
        slots = count_slots(spec.resources)
        try:
            tracking.result()
        except TrackingUnavailable as error:
            raise Unreachable(str(error)) from error
    return Prepared(spec, data, cluster, slots, notices)


def _check_storage(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        marker = path / f".writable-{os.getpid()}"
        marker.write_text("")
        marker.unlink()
    except OSError as error:
        raise BadUsage(f"{path}: results cannot be written ({error.strerror}); set SWEEPS_HOME elsewhere") from error
    free = shutil.disk_usage(path).free
    if free < MIN_FREE_BYTES:
        raise BadUsage(
            f"{path}: {free / 2**20:.0f} MB free, a sweep needs at least {MIN_FREE_BYTES / 2**20:.0f}; "
            "free some, or set SWEEPS_HOME elsewhere"
        )


def _load_data(spec: SweepSpec) -> tuple[SweepSpec, Dataset, tuple[str, ...]]:
    """Loads the data set; where CIFAR-10 cannot be had and the file allows it, the synthetic one, loudly."""
    name, data_dir = _constant(spec, "dataset"), _constant(spec, "data_dir")
    try:
        return spec, load_dataset(str(name), None if data_dir is None else str(data_dir)), ()
    except DataUnavailable as error:
        fallback = spec.fallback
        if name != "cifar10" or fallback is None:
            raise BadUsage(str(error)) from error
        notice = (
            f"NOT CIFAR-10: these are drawn shapes (dataset: {fallback}), used because CIFAR-10 could not be had "
            f"and the sweep file says `fallback: {fallback}`. The numbers say nothing about CIFAR-10. ({error})"
        )
    parameters = {key: value for key, value in spec.parameters.items() if key != "data_dir"}
    parameters["dataset"] = Constant(value=fallback)
    spec = spec.model_copy(update={"parameters": parameters})
    return spec, load_dataset(fallback, None), (notice,)


def _check_fit(spec: SweepSpec, data: Dataset) -> None:
    """Finds out before the start whether the data set has enough pictures for every trial."""
    train_sizes = _values(spec, "train_size")
    batch_sizes = _values(spec, "batch_size")
    try:
        for train_size in train_sizes:
            split_for_training(data, train_size=train_size, batch_size=max(batch_sizes))
    except ConfigError as error:
        raise BadUsage(f"the data set {data.name} has too few pictures: {error}") from error


def _values(spec: SweepSpec, name: str) -> list[Any]:
    """The values that a parameter can take, or the ends of its range."""
    parameter = spec.parameters.get(name, Constant(value=SETTINGS[name].default))
    values = [getattr(parameter, "min", None), getattr(parameter, "max", None)]
    return values if None not in values else list(list_values(parameter))


def _constant(spec: SweepSpec, name: str) -> Any:
    parameter = spec.parameters.get(name)
    return parameter.value if isinstance(parameter, Constant) else SETTINGS[name].default


def _run(
    prepared: Prepared, home: Home, folder: SweepFolder, listeners: Sequence[Listener], *, resume: bool
) -> SweepOutcome:
    spec, sweep_id = prepared.spec, folder.path.name
    arms = build_arms(spec)
    arm_names = tuple(arm.name for arm in arms)
    recorder = Recorder(home.tracking_uri, folder.journal, artifact_root=home.artifact_root)
    sweep = register(
        RunningSweep(
            sweep_id=sweep_id,
            spec=spec,
            ledger=Ledger(spec.metric.goal, arm_names),
            rungs=ArmRungs(arm_names, spec.early_terminate, int(_constant(spec, "epochs"))),
            recorder=recorder,
            num_trials=num_search_trials(spec, arms),
            deadline=None if spec.budget.hours is None else time.time() + 3600 * spec.budget.hours,
            slots=prepared.slots,
            listeners=list(listeners),
        )
    )
    try:
        recorder.start_sweep(_build_record(prepared, folder, arms))
        with _graceful_interrupts() as interrupted:
            _tune(sweep, arms, prepared, folder, resume=resume)
        close_unfinished(sweep, "interrupted" if interrupted.is_set() else sweep.halted or "ended with the sweep")
        return _finish(sweep, home, folder, interrupted=interrupted.is_set())
    except BaseException:
        close_unfinished(sweep, "the driver failed")
        recorder.end_sweep(SweepState.FAILED, "The driver failed.", ())
        raise
    finally:
        recorder.close(timeout_seconds=DELIVERY_SECONDS)


def _build_record(prepared: Prepared, folder: SweepFolder, arms: tuple[Arm, ...]) -> SweepRecord:
    spec, data = prepared.spec, prepared.data
    split = build_split(data.train_labels_N)
    digests = {"name": data.name, "digest": data.digest, "split_digest": split.digest}
    manifest = build_manifest(folder.path.name, spec.seed, digests, prepared.cluster)
    folder.manifest.write_text(json.dumps(manifest, indent=2) + "\n")
    return SweepRecord(
        sweep_id=folder.path.name,
        name=spec.name,
        project=spec.project,
        description=spec.description,
        sweep_file=folder.sweep_file.read_text(),
        resolved=folder.resolved_file.read_text(),
        manifest=manifest,
        tags={
            names.SWEEP_METHOD: spec.method,
            names.SWEEP_DATASET: data.name,
            names.SWEEP_FALLBACK: spec.fallback if prepared.notices and spec.fallback else "none",
        },
        goal_metric=spec.metric.name,
        goal=spec.metric.goal,
        compare=spec.compare,
        arms=tuple(arm.name for arm in arms),
        searched=tuple(dict.fromkeys(name for arm in arms for name in searched(arm))),
        notices=prepared.notices,
    )


def _tune(sweep: RunningSweep, arms: tuple[Arm, ...], prepared: Prepared, folder: SweepFolder, *, resume: bool) -> None:
    """Runs Tune until nothing is left to try, or a signal stops it."""
    from ray import tune

    resources = {"cpu": sweep.spec.resources.cpu, "gpu": sweep.spec.resources.gpu}
    trainable = tune.with_resources(tune.with_parameters(CifarTrainable, data=prepared.data), resources)
    if resume:
        tuner = tune.Tuner.restore(str(folder.ray / "trials"), trainable, resume_errored=False)
    else:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=ArmSearcher(sweep, arms, sweep.slots),
                scheduler=ArmScheduler(sweep),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_name_trial,
                trial_dirname_creator=_name_trial,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=str(folder.ray),
                callbacks=[SweepCallback(sweep, folder.logs)],
                # Not at the end, as is the default: a trial that is over needs none, and a failed one has none.
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=MAX_LOST_PROCESSES),
                verbose=0,
            ),
        )
    tuner.fit()


def _name_trial(trial: Any) -> str:
    return str(trial.config["trial_id"])


@contextmanager
def _graceful_interrupts() -> Iterator[threading.Event]:
    """Turns SIGINT and SIGTERM into Tune's graceful end (SIGUSR1); the event says whether one came.

    Tune handles SIGINT itself, but neither SIGTERM nor the question who asked; a second signal ends at once.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def handle(signum: int, frame: Any) -> None:  # noqa: ARG001
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        if signal.getsignal(signal.SIGUSR1) in (signal.SIG_DFL, signal.SIG_IGN, None):
            raise KeyboardInterrupt  # Tune does not run yet
        signal.raise_signal(signal.SIGUSR1)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _finish(sweep: RunningSweep, home: Home, folder: SweepFolder, *, interrupted: bool) -> SweepOutcome:
    """Settles the sweep's state, writes report and table from what MLflow holds, and closes the parent run."""
    exit_code = _exit_code(sweep, interrupted=interrupted)
    state = SweepState.COMPLETED
    if interrupted:
        state = SweepState.INTERRUPTED
    elif exit_code is ExitCode.NOTHING_SUCCEEDED:
        state = SweepState.FAILED
    problem, table = sweep.halted, None
    if sweep.recorder.flush(timeout_seconds=DELIVERY_SECONDS):
        table = load_sweep(sweep.sweep_id, home.tracking_uri)
        write_report(table, folder.report)
        write_trials_csv(table, folder.trials)
        note = format_markdown(build_leaderboard(table))
        sweep.recorder.end_sweep(state, note, (folder.report, folder.trials, folder.manifest))
        delivered = sweep.recorder.flush(timeout_seconds=DELIVERY_SECONDS)
    else:
        sweep.recorder.end_sweep(state, "", ())
        delivered = False
    if not delivered:
        exit_code = ExitCode.UNREACHABLE
        problem = (
            f"MLflow is out of reach ({sweep.recorder.problem}); {sweep.recorder.pending} events are kept in "
            f"{folder.journal}: run `sweeps report {sweep.sweep_id}` when it is back"
        )
    failures = tuple(
        (entry.trial_id, entry.stop_reason, str(folder.logs / f"{entry.trial_id}.log") if entry.error else "")
        for entry in sweep.ledger.failed()
    )
    return SweepOutcome(sweep.sweep_id, state, exit_code, folder, table, problem, failures)


def _exit_code(sweep: RunningSweep, *, interrupted: bool) -> ExitCode:
    if interrupted:
        return ExitCode.INTERRUPTED
    if sweep.ledger.num_succeeded() == 0:
        return ExitCode.NOTHING_SUCCEEDED
    return ExitCode.SOME_TRIALS_FAILED if sweep.ledger.failed() else ExitCode.DONE
