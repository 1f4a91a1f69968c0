"""Puts a sweep's events into MLflow. Any event may come twice, and changes nothing the second time.

Runs are found by their tags before they are created; of a metric, only steps above the last recorded one are sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracking import names
from tracking.names import TrialState
from tracking.recording.clock import DriverTime
from tracking.recording.events import (
    EpochRecorded,
    Event,
    JournalRepaired,
    PhaseNoted,
    SweepEnded,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialRecord,
    TrialStarted,
)
from tracking.recording.origin import build_source_tags, find_dataset
from tracking.recording.progress import Point, Progress
from tracking.recording.tags import build_sweep_tags, build_trial_tags
from tracking.store.connection import PROBE_SECONDS, describe, open_client, probe
from tracking.store.keys import build_key
from tracking.store.links import save_view
from tracking.store.runs import (
    build_user_tag,
    check_not_deleted,
    find_family,
    find_or_create_experiment,
    mark_experiment,
)
from tracking.store.tags import MAX_TAGS, batch_tags, split_tags
from tracking.table import format_value

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

MAX_METRICS = 800  # MLflow takes 1,000 metrics, params and tags in one call, of which 100 params and 100 tags
MAX_PARAMS = 100
NUM_SENDERS = 4
ORPHANED = "the sweep ended before this trial did"
INTERRUPTED = "the sweep was interrupted; this trial had not gone on when it was resumed"


@dataclass
class _Run:
    """What is known of a run in MLflow, the sweep's own or a trial's, and what is about to be sent to it."""

    run_id: str
    running: bool
    deleted: bool = False  # by someone in the UI: nothing more is written to it
    has_dataset: bool = False
    last_steps: dict[str, int] | None = field(default_factory=dict)  # metric -> last step; None = not yet asked for
    param_keys: set[str] = field(default_factory=set)
    tag_keys: set[str] = field(default_factory=set)
    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def _describe(run: Run) -> _Run:
    """What is known of a run that is there."""
    return _Run(
        run_id=run.info.run_id,
        running=run.info.status == "RUNNING",
        deleted=run.info.lifecycle_stage != "active",
        has_dataset=bool(run.inputs and run.inputs.dataset_inputs),
        last_steps=None if run.data.metrics else {},
        param_keys=set(run.data.params),
        tag_keys=set(run.data.tags),
    )


class Delivery:
    """One sweep's way into MLflow.

    Args:
        tracking_uri: Where it is recorded.
        artifact_root: Where a new experiment keeps its artifacts; None for where the server says.
        folder: The sweep's, where its files are.
        past: What earlier drivers recorded.

    Attributes:
        refusals: What MLflow will never take, one sentence each; the rest goes on.
        num_answers: How often MLflow has taken something of a trial: it grows as long as things get on.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path | None, folder: Path, past: Iterable[Event] = ()) -> None:
        self._uri = tracking_uri
        self._artifact_root = artifact_root
        self._folder = folder
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._parent = _Run("", running=True)
        self._parent_tags: Mapping[str, str] = {}  # as they were when it was found
        self._runs: dict[str, _Run] = {}
        self._sweep: SweepRecord | None = None
        self._started_ms = 0
        self._trials: dict[str, tuple[TrialRecord, int]] = {}  # with the milliseconds since 1970 of its last start
        self._time, self._num_learnt = DriverTime(), 0
        self._progress, self._points = Progress(), list[Point]()
        self._num_sent = 0  # of the points
        self._repairs: dict[str, None] = {}  # sentences, in their order
        self.refusals: list[str] = []
        self.num_answers = 0
        for event in past:
            self._learn(event)

    def refuse(self, sentence: str) -> None:
        """Takes a refusal down, once however often it is met."""
        if sentence not in self.refusals:
            self.refusals.append(sentence)

    def reset(self) -> None:
        """Forgets what MLflow is believed to hold: after an error nobody knows how far the call got."""
        self._client = None
        self._runs.clear()
        self._num_sent = 0

    def deliver(self, events: Sequence[Event]) -> None:
        """Sends the events in order, each run's metrics in as few calls as possible.

        Raises:
            Exception: Whatever MLflow, the database driver or the network raise; `reset`, then send the same again.
        """
        probe(self._uri, PROBE_SECONDS)  # at once, where MLflow's client would try again first
        for event in events:
            self._learn(event)
            if self._sweep is None:
                self.refuse(f"{event.what.kind} came before start_sweep")
                continue
            if self._client is None:
                self._connect()
            match event.what:
                case SweepStarted(record):
                    self._flush()
                    self._start_sweep(record, event.time_ms)
                case SweepEnded() as ended:
                    self._flush()
                    self._end_sweep(ended, event.time_ms)
                case JournalRepaired():
                    self._log(self._parent_id, tags={names.SWEEP_NOTICES: self._list_notices(self._sweep)})
                case PhaseNoted(phase):
                    self._log(self._parent_id, tags={names.SWEEP_PHASE: phase})
                case _:
                    self._apply(event)
        self._flush()

    def _learn(self, event: Event) -> None:
        if event.sequence > self._num_learnt:  # else it is sent again
            self._num_learnt = event.sequence
            self._time.take(event)
            self._points += self._progress.take(event, self._time.elapsed_ms(event.time_ms) // 1000)
        match event.what:
            case SweepStarted(record):
                self._sweep, self._started_ms = record, event.time_ms
            case JournalRepaired(sentence):
                self._repairs[sentence] = None
            case TrialStarted(trial):
                self._trials[trial.trial_id] = trial, event.time_ms

    def _list_notices(self, record: SweepRecord) -> str:
        """What a reader must know, as a tag: of the sweep's start, and of repairs of its journal."""
        return json.dumps(list(dict.fromkeys((*record.notices, *self._repairs))))

    # Connecting

    def _connect(self) -> None:
        """Finds parent and children of the sweep, wherever they are by now; creates the parent where there is none."""
        assert self._sweep is not None
        client = open_client(self._uri)
        record = self._sweep
        self._runs.clear()
        family = find_family(client, record.sweep_id)
        for run in family.children:
            self._runs[run.data.tags[names.TRIAL_ID]] = _describe(run)
        if family.parent is not None:
            check_not_deleted(client, family.parent, record.sweep_id)
            self._experiment_id = family.parent.info.experiment_id
            self._parent, self._parent_tags = _describe(family.parent), family.parent.data.tags
        else:
            self._experiment_id = find_or_create_experiment(client, record.project, self._artifact_root)
            tags = split_tags(build_user_tag() | build_sweep_tags(record))
            first = dict(list(tags.items())[:MAX_TAGS])  # the rest follows as the sweep starts
            parent = client.create_run(
                self._experiment_id, start_time=self._started_ms, run_name=record.sweep_id, tags=first
            )
            self._parent, self._parent_tags = _Run(parent.info.run_id, running=True), tags
        self._client = client
        self._drop(family.doubles)

    def _drop(self, doubles: Iterable[Run]) -> None:
        """Deletes runs that are there twice, since the answer to their making was lost."""
        for run in doubles:
            self._open.delete_run(run.info.run_id)

    # Sweep

    def _start_sweep(self, record: SweepRecord, time_ms: int) -> None:
        client = self._open
        if client.get_run(self._parent_id).info.status != "RUNNING":
            client.update_run(self._parent_id, status="RUNNING")
        tags = build_sweep_tags(record) | {names.SWEEP_NOTICES: self._list_notices(record)}
        self._log(self._parent_id, tags=tags)
        mark_experiment(client, self._experiment_id)
        save_view(client, self._experiment_id, record.sweep_id, record.goal_metric, record.goal, record.searched)
        self._log_dataset(self._parent)
        self._close_orphans(time_ms, INTERRUPTED)
        texts = {
            names.SWEEP_FILE_ARTIFACT: record.sweep_file,
            names.RESOLVED_ARTIFACT: record.resolved,
            names.MANIFEST_ARTIFACT: json.dumps(record.manifest, indent=2),
        }
        for name, text in texts.items():
            self._attempt(f"artifact {name}", lambda name=name, text=text: client.log_text(self._parent_id, text, name))

    def _end_sweep(self, ended: SweepEnded, time_ms: int) -> None:
        client, state = self._open, ended.state
        self._close_orphans(time_ms, ORPHANED)
        known = {self._parent_id, *(run.run_id for run in self._runs.values())}
        self._drop(find_family(client, self._sweep_id, known).doubles)
        seconds = self._time.elapsed_ms(time_ms) / 1000
        tags = {names.SWEEP_STATE: str(state), names.SWEEP_PHASE: "", names.SWEEP_SECONDS: f"{seconds:.3f}"}
        tags |= ended.tags
        if ended.note:
            tags[names.NOTE] = ended.note
        self._log(self._parent_id, tags=tags)
        client.set_terminated(self._parent_id, status=state.mlflow_status, end_time=time_ms)
        for name in ended.artifacts:
            path = self._find_file(name)
            self._attempt(f"artifact {name}", lambda path=path: client.log_artifact(self._parent_id, str(path)))

    def _find_file(self, name: str) -> Path:
        """A file of the sweep's folder, where that is now."""
        path = self._folder / name
        if path.exists() or not Path(name).is_absolute():
            return path
        beside = (self._folder / Path(*Path(name).parts[-num:]) for num in (2, 1))  # journals once held whole paths
        return next((each for each in beside if each.exists()), path)

    def _close_orphans(self, time_ms: int, reason: str) -> None:
        tags = {names.TRIAL_STATE: str(TrialState.STOPPED), names.TRIAL_STOP_REASON: reason}
        for run in self._runs.values():
            if run.running and not run.deleted:
                self._log(run.run_id, tags=tags)
                run.tag_keys |= set(tags)
                self._open.set_terminated(run.run_id, status=TrialState.STOPPED.mlflow_status, end_time=time_ms)
                run.running = False

    def _attempt(self, what: str, store: Any) -> None:
        """Stores an artifact. A failure is no reason to keep metrics waiting, as long as MLflow itself answers."""
        try:
            store()
        except Exception as error:  # noqa: BLE001  # each artifact store raises errors of its own
            self._open.get_run(self._parent_id)  # raises when it is MLflow that is away: all is sent again
            self.refuse(f"{what} could not be stored in MLflow ({describe(error, self._uri)})")

    # Trials

    def _apply(self, event: Event) -> None:
        run = self._find_or_create_run(event.what.trial_id)
        if run is None or run.deleted:
            return
        match event.what:
            case TrialStarted(record):
                self._start_trial(run, record)
            case EpochRecorded() as epoch:
                self._add_metrics(run, event.time_ms, epoch.epoch, epoch.metrics)
            case TrialEnded() as ended:
                self._end_trial(run, ended, event.time_ms)

    def _end_trial(self, run: _Run, ended: TrialEnded, time_ms: int) -> None:
        last_epoch = max(self._last_steps(run).values(), default=0)
        self._add_metrics(run, time_ms, last_epoch, ended.metrics)
        run.tags[names.TRIAL_STATE] = str(ended.state)
        run.tags |= ended.tags
        self._set_reason(run, ended.stop_reason)
        self._flush_run(run)
        self._open.set_terminated(run.run_id, status=ended.state.mlflow_status, end_time=time_ms)
        run.running = False

    def _find_or_create_run(self, trial_id: str) -> _Run | None:
        if trial_id not in self._runs:
            if trial_id not in self._trials:
                self.refuse(f"{trial_id}: an event came before start_trial")
                return None
            start, time_ms = self._trials[trial_id]
            tags = build_user_tag() | self._trial_tags(start) | {names.PARENT_RUN_ID: self._parent_id}
            created = self._open.create_run(self._experiment_id, start_time=time_ms, run_name=trial_id, tags=tags)
            self.num_answers += 1
            run = _Run(created.info.run_id, running=True, tag_keys=set(tags))
            self._add_params(run, start)
            self._runs[trial_id] = run
        return self._runs[trial_id]

    def _start_trial(self, run: _Run, record: TrialRecord) -> None:
        if not run.running:  # a resumed trial goes on in its run
            self._flush_run(run)
            self._open.update_run(run.run_id, status="RUNNING")
            run.running = True
            run.tags |= self._trial_tags(record)
            self._set_reason(run, "")
        self._add_params(run, record)
        self._log_dataset(run)

    @staticmethod
    def _set_reason(run: _Run, reason: str) -> None:
        """An empty reason is written only where it takes the place of another."""
        if reason or names.TRIAL_STOP_REASON in run.tag_keys:
            run.tags[names.TRIAL_STOP_REASON] = reason
            run.tag_keys.add(names.TRIAL_STOP_REASON)

    def _trial_tags(self, record: TrialRecord) -> dict[str, str]:
        assert self._sweep is not None
        return build_trial_tags(self._sweep_id, record) | build_source_tags(self._sweep.manifest, self._sweep.tags)

    def _log_dataset(self, run: _Run) -> None:
        """Tells of a run on which images it trains: MLflow's column "Dataset"."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = find_dataset(self._sweep.manifest) if self._sweep else None
        if facts is not None and not run.has_dataset:
            self._open.log_inputs(
                run.run_id, [DatasetInput(Dataset(**asdict(facts)), [InputTag(names.DATASET_CONTEXT, "training")])]
            )
        run.has_dataset = True

    def _add_params(self, run: _Run, record: TrialRecord) -> None:
        """MLflow's params are written once: those of a run that goes on stay as they are."""
        for name, value in record.parameters.items():
            if name not in run.param_keys:
                run.params[name] = format_value(value)
                run.param_keys.add(name)

    def _add_metrics(self, run: _Run, time_ms: int, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        last_steps = self._last_steps(run)
        for name, value in metrics.items():
            key = build_key(name)
            if not math.isfinite(value):
                # MLflow stores infinity as 1.8e308, which flattens its charts, and NaN as a point at 0.
                tag = names.NONFINITE_PREFIX + key
                if tag not in run.tag_keys:
                    run.tags[tag] = f"{value} at epoch {step}"
                    run.tag_keys.add(tag)
            elif step > last_steps.get(key, -1):
                run.metrics.append(Metric(key, value, time_ms, step))
                last_steps[key] = step

    def _last_steps(self, run: _Run) -> dict[str, int]:
        if run.last_steps is None:
            run.last_steps = {}
            for key in self._open.get_run(run.run_id).data.metrics:
                history = self._open.get_metric_history(run.run_id, key)
                run.last_steps[key] = max((point.step for point in history), default=-1)
        return run.last_steps

    # Sending

    @property
    def _sweep_id(self) -> str:
        assert self._sweep is not None
        return self._sweep.sweep_id

    @property
    def _parent_id(self) -> str:
        return self._parent.run_id

    @property
    def _open(self) -> MlflowClient:
        assert self._client is not None
        return self._client

    def _flush(self) -> None:
        """Sends what is left of all runs: to a server several at a time, which a database file would not take."""
        if self._client is not None:
            for point in self._points[self._num_sent :]:
                self._add_metrics(self._parent, point.time_ms, point.step, {point.key: point.value})
            self._num_sent = len(self._points)
            self._flush_run(self._parent)
        waiting = [run for run in self._runs.values() if run.metrics or run.params or run.tags]
        is_server = self._uri.startswith(("http://", "https://"))
        with ThreadPoolExecutor(NUM_SENDERS if is_server else 1, thread_name_prefix="mlflow-sender") as pool:
            for _ in pool.map(self._flush_run, waiting):
                pass

    def _flush_run(self, run: _Run) -> None:
        if run.metrics or run.params or run.tags:
            self._log(run.run_id, run.metrics, run.params, run.tags)
            run.metrics, run.params, run.tags = [], {}, {}

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        all_params = [Param(key, value) for key, value in (params or {}).items()]
        known = self._parent_tags if run_id == self._parent_id else {}
        tag_batches = [[RunTag(*tag) for tag in batch.items()] for batch in batch_tags(split_tags(tags or {}, known))]
        needed = (-(-len(metrics) // MAX_METRICS), -(-len(all_params) // MAX_PARAMS), len(tag_batches))
        num_calls = max(needed)
        for call in range(num_calls):
            self._open.log_batch(
                run_id,
                metrics=metrics[call * MAX_METRICS : (call + 1) * MAX_METRICS],
                params=all_params[call * MAX_PARAMS : (call + 1) * MAX_PARAMS],
                tags=tag_batches[call] if call < len(tag_batches) else [],
                synchronous=True,
            )
            self.num_answers += 1
