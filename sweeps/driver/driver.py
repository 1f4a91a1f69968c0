"""Runs a sweep from its spec to its report; the only file that makes a Tuner."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sweeps.driver.callback import SweepCallback, close_unfinished
from sweeps.driver.cluster import stop_ray
from sweeps.driver.interrupts import graceful_interrupts, remote_requests
from sweeps.driver.measuring import plan_prepared
from sweeps.driver.preflight import Prepared, constant_of, prepare
from sweeps.driver.prior import Prior, load_prior
from sweeps.driver.scheduler import ArmScheduler
from sweeps.driver.searcher import ArmSearcher
from sweeps.environment import build_manifest
from sweeps.errors import BadUsage, ExitCode
from sweeps.home import JOB_VARIABLE, Home, SweepFolder, build_sweep_id
from sweeps.plan.plan import Plan
from sweeps.running.budgets import num_search_trials
from sweeps.running.live import log_to
from sweeps.running.replay import replay
from sweeps.running.sweep import Listener, RunningSweep
from sweeps.space.arms import Arm, build_arms, searched
from sweeps.spec.models import SweepSpec, dump_spec, load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking import names
from tracking.analysis.leaderboard import build_leaderboard, find_winner, format_markdown
from tracking.names import SweepState
from tracking.recording.recorder import Recorder, SweepRecord
from tracking.report.page import write_report, write_trials_csv
from tracking.store.queries import load_sweep
from tracking.store.registry import WinnerModel, register_winner
from trainer.data.load import Dataset, split_for_training
from trainer.trainable import CifarTrainable

if TYPE_CHECKING:
    from tracking.table import SweepTable

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
    folder = home.folder(sweep_id or build_sweep_id(spec.slug))
    if folder.journal.exists():
        raise BadUsage(f"{sweep_id}: it has been started already; go on with `sweeps resume {sweep_id}`")
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        prepared = prepare(spec, home)
        folder.sweep_file.write_text(sweep_file or dump_spec(spec))
        folder.resolved_file.write_text(dump_spec(prepared.spec))
        plan = plan_prepared(prepared, measure=measure)
        return _run(prepared, home, folder, listeners, plan.to_json())
    except BaseException:
        if not folder.journal.exists():  # nothing ran: leave no empty sweep behind
            shutil.rmtree(folder.path, ignore_errors=True)
        raise
    finally:
        stop_ray()


def resume_sweep(sweep_id: str, home: Home, *, listeners: Sequence[Listener] = ()) -> SweepOutcome:
    """Goes on with an interrupted or crashed sweep where its journal ends, unfinished trials from their checkpoints.

    Raises:
        BadUsage: When there is nothing to resume.
        Unreachable: When Ray or MLflow does not answer.
    """
    folder = home.folder(sweep_id)
    if not folder.journal.exists():
        raise BadUsage(f"{sweep_id}: it ended before its first trial; start it again with `sweeps run`")
    try:
        prepared = prepare(load_spec(folder.resolved_file), home)
        return _run(prepared, home, folder, listeners, _read_plan(folder))
    finally:
        stop_ray()


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
    try:
        return plan_prepared(prepare(spec, home), measure=measure)
    finally:
        stop_ray()


def _read_plan(folder: SweepFolder) -> dict[str, Any]:
    """The plan that was made before the sweep began; none where its manifest has none, or is gone."""
    try:
        plan: dict[str, Any] = json.loads(folder.manifest.read_text()).get("plan", {})
    except (OSError, ValueError):
        return {}
    return plan and {**plan, "wall_seconds": None}  # it said nothing of the time until it was resumed


def _run(
    prepared: Prepared, home: Home, folder: SweepFolder, listeners: Sequence[Listener], plan: dict[str, Any]
) -> SweepOutcome:
    spec, sweep_id = prepared.spec, folder.path.name
    arms = build_arms(spec)
    prior = load_prior(spec, arms, home.tracking_uri, folder.prior)
    arm_names = tuple(arm.name for arm in arms)
    num_trials = num_search_trials(spec, arms)
    num_epochs = int(constant_of(spec, "epochs")) if spec.early_terminate is not None else 0
    recorder = Recorder(home.tracking_uri, folder.journal, artifact_root=home.artifact_root)
    sweep = RunningSweep(
        sweep_id=sweep_id,
        spec=spec,
        ledger=Ledger(spec.metric.goal, arm_names),
        rules=ArmRules(arm_names, spec.early_terminate, num_epochs, num_trials, spec.seed),
        recorder=recorder,
        folder=folder,
        num_trials=num_trials,
        slots=prepared.slots,
        listeners=[*listeners, log_to(folder.driver_log)],
    )
    try:
        replay(sweep, recorder.past)
        if spec.budget.hours is not None and sweep.deadline is None:
            sweep.deadline = time.time() + 3600 * spec.budget.hours
        recorder.start_sweep(_build_record(prepared, folder, arms, plan))
        with graceful_interrupts(sweep), remote_requests(sweep, home.tracking_uri):
            _tune(sweep, arms, prior, prepared)
        if not sweep.finished:  # whatever made Tune end: what is left can be resumed
            sweep.interrupt()
        close_unfinished(sweep, "interrupted" if sweep.interrupted else sweep.halted or "ended with the sweep")
        return _finish(sweep, prepared, home)
    except BaseException:
        close_unfinished(sweep, "the driver failed")
        recorder.end_sweep(SweepState.FAILED, "The driver failed.", ())
        raise
    finally:
        recorder.close(timeout_seconds=DELIVERY_SECONDS)


def _build_record(prepared: Prepared, folder: SweepFolder, arms: tuple[Arm, ...], plan: dict[str, Any]) -> SweepRecord:
    spec, data = prepared.spec, prepared.data
    evaluate_on = str(constant_of(spec, "evaluate_on"))
    split = split_for_training(data, train_size=None, batch_size=1, evaluate_on=evaluate_on)
    digests = {"name": data.name, "digest": data.digest, "split_digest": split.digest}
    manifest = build_manifest(folder.path.name, spec.seed, digests, prepared.cluster)
    if plan:
        manifest["plan"] = plan
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
            names.SWEEP_FALLBACK: data.name if prepared.fell_back else "none",
            **({names.SWEEP_METRICS: json.dumps(_list_metrics(spec))} if spec.metrics else {}),
            **({names.SWEEP_JOB: os.environ[JOB_VARIABLE]} if JOB_VARIABLE in os.environ else {}),
        },
        goal_metric=spec.metric.name,
        goal=spec.metric.goal,
        compare=", ".join(spec.compare) or None,
        arms=tuple(arm.name for arm in arms),
        searched=tuple(dict.fromkeys(name for arm in arms for name in searched(arm))),
        notices=prepared.notices,
    )


def _list_metrics(spec: SweepSpec) -> list[tuple[str, str]]:
    return [(metric.name, metric.direction) for metric in spec.metrics]


def _tune(sweep: RunningSweep, arms: tuple[Arm, ...], prior: Prior, prepared: Prepared) -> None:
    """Runs Tune until nothing is left to try, or a signal stops it."""
    from ray import tune

    resources = {"cpu": sweep.spec.resources.cpu, "gpu": sweep.spec.resources.gpu}
    trainable = tune.with_resources(tune.with_parameters(CifarTrainable, data=prepared.data), resources)
    num_drivers = len(list(sweep.folder.ray.glob("*")))  # before this one
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=ArmSearcher(sweep, arms, prior),
            scheduler=ArmScheduler(sweep),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_name_trial,
            trial_dirname_creator=_name_trial,
        ),
        run_config=tune.RunConfig(
            name=f"trials-{num_drivers:04d}",  # a folder of its own: Tune would write over the checkpoints of another
            storage_path=str(sweep.folder.ray),
            callbacks=[SweepCallback(sweep)],
            # Not at the end, as is the default: a trial that is over needs none, and a failed one has none.
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_LOST_PROCESSES),
            verbose=0,
        ),
    )
    tuner.fit()


def _name_trial(trial: Any) -> str:
    """A name, and a folder for its checkpoints, for each time that a trial goes on after a pause."""
    part = trial.config["part"]
    return f"{trial.config['trial_id']}_{part:03d}" if part else str(trial.config["trial_id"])


def _finish(sweep: RunningSweep, prepared: Prepared, home: Home) -> SweepOutcome:
    """Settles the sweep's state, writes report and table from what MLflow holds, and closes the parent run."""
    folder, exit_code = sweep.folder, _exit_code(sweep)
    state = SweepState.COMPLETED
    if sweep.interrupted:
        state = SweepState.INTERRUPTED
    elif exit_code is ExitCode.NOTHING_SUCCEEDED:
        state = SweepState.FAILED
    problem, table = sweep.halted, None
    if sweep.recorder.flush(timeout_seconds=DELIVERY_SECONDS):
        table = replace(load_sweep(sweep.sweep_id, home.tracking_uri), state=str(state))  # closed after its report
        write_report(table, folder.report)
        write_trials_csv(table, folder.trials)
        note = format_markdown(build_leaderboard(table))
        if not sweep.interrupted:
            problem = problem or _register_winner(table, prepared.data, home, folder)
        files = (folder.report, folder.trials, folder.manifest, *sorted(folder.logs.glob("*.log")))
        sweep.recorder.end_sweep(state, note, files)
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
        (entry.trial_id, entry.stop_reason, str(log) if (log := folder.trial_log(entry.trial_id)).exists() else "")
        for entry in sweep.ledger.failed()
    )
    return SweepOutcome(sweep.sweep_id, state, exit_code, folder, table, problem, failures)


def _register_winner(table: SweepTable, data: Dataset, home: Home, folder: SweepFolder) -> str:
    """Registers the best retrained network as a model of MLflow; says why where that fails. "" for none to register."""
    winner = find_winner(table)
    checkpoints = folder.checkpoints(winner.trial_id) if winner else ()
    if winner is None or not checkpoints:
        return ""
    from trainer.export import build_example, load_classifier

    try:
        network = load_classifier(checkpoints[0], winner.parameters, data)
    except Exception as error:  # noqa: BLE001  # what has been found out is not lost with it
        return f"the winner, {winner.trial_id}, is not registered as a model: {type(error).__name__}: {error}"
    tags = {names.TRIAL_ID: winner.trial_id, names.TRIAL_ARM: winner.arm, names.SWEEP_DATASET: data.name}
    tags[names.TEST_ACCURACY] = f"{winner.summary[names.TEST_ACCURACY]:.4f}"
    facts = {"classes": list(data.classes), "input": "pictures, 3 channels of 0 to 255, 32 rows, 32 columns; float32"}
    model = WinnerModel(network, build_example(data), facts, tags)
    return register_winner(home.tracking_uri, table.project, table.sweep_id, model)


def _exit_code(sweep: RunningSweep) -> ExitCode:
    if sweep.interrupted:
        return ExitCode.INTERRUPTED
    if sweep.ledger.num_succeeded() == 0:
        return ExitCode.NOTHING_SUCCEEDED
    return ExitCode.SOME_TRIALS_FAILED if sweep.ledger.failed() else ExitCode.DONE
