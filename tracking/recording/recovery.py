"""What MLflow holds of a sweep, as events: for a journal that was damaged."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tracking import names
from tracking.names import SweepState, TrialState
from tracking.recording.events import (
    EpochRecorded,
    Event,
    Happening,
    SweepEnded,
    SweepRecord,
    SweepStarted,
    TrialEnded,
    TrialRecord,
    TrialStarted,
)
from tracking.store.queries import ask
from tracking.store.runs import find_family
from tracking.store.tags import join_tags
from tracking.table import parse_value

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_RECORD_TAGS = (names.SWEEP_METHOD, names.SWEEP_DATASET, names.SWEEP_FALLBACK, names.SWEEP_METRICS, names.SWEEP_JOB)
_VERDICT_TAGS = (names.SWEEP_HEADLINE, names.SWEEP_VERDICT, names.SWEEP_WARNINGS)
_OWN_TAGS = (  # words that an end brings with it
    names.TRIAL_HEALTH,
    names.TRIAL_CURVATURE,
    names.TRIAL_COURSE,
    names.TRIAL_LINEAGE,
)
_NONFINITE = re.compile(r"(\S+) at epoch (\d+)")


def load_events(tracking_uri: str, sweep_id: str, folder: Path) -> tuple[Event, ...]:
    """What MLflow has got of a sweep, in the order of its times; the events have no place in a journal: number 0.

    Pauses, and what was asked of a driver, are in the journal alone.

    Args:
        tracking_uri: MLflow.
        sweep_id: The sweep.
        folder: Its folder, which has the files that MLflow's artifacts lack.

    Raises:
        TrackingUnavailable: When MLflow cannot be read.
    """
    return ask(
        tracking_uri, lambda client: tuple(sorted(_read(client, sweep_id, folder), key=lambda each: each.time_ms))
    )


def _read(client: MlflowClient, sweep_id: str, folder: Path) -> Iterator[Event]:
    family = find_family(client, sweep_id)
    if family.parent is not None:
        yield from _read_sweep(client, family.parent, folder)
    seen: set[str] = set()
    for run in sorted(family.children, key=lambda run: run.info.lifecycle_stage != "active"):
        if run.data.tags[names.TRIAL_ID] not in seen:
            seen.add(run.data.tags[names.TRIAL_ID])
            yield from _read_trial(client, run)


# The sweep


def _read_sweep(client: MlflowClient, run: Run, folder: Path) -> Iterator[Event]:
    tags = join_tags(run.data.tags)
    texts = {
        name: _read_text(client, run, name, folder)
        for name in (names.SWEEP_FILE_ARTIFACT, names.RESOLVED_ARTIFACT, names.MANIFEST_ARTIFACT)
    }
    record = SweepRecord(
        sweep_id=tags[names.SWEEP_ID],
        name=tags[names.SWEEP_NAME],
        project=client.get_experiment(run.info.experiment_id).name,
        description="",  # the leaderboard stands in its place
        sweep_file=texts[names.SWEEP_FILE_ARTIFACT],
        resolved=texts[names.RESOLVED_ARTIFACT],
        manifest=_read_manifest(texts[names.MANIFEST_ARTIFACT]),
        tags={key: tags[key] for key in _RECORD_TAGS if key in tags},
        goal_metric=tags[names.SWEEP_GOAL_METRIC],
        goal=tags[names.SWEEP_GOAL],
        compare=tags[names.SWEEP_COMPARE] or None,
        arms=tuple(json.loads(tags[names.SWEEP_ARMS])),
        searched=tuple(json.loads(tags[names.SWEEP_SEARCHED])),
        notices=tuple(json.loads(tags[names.SWEEP_NOTICES])),
    )
    yield _happened(run.info.start_time, SweepStarted(record))
    if tags[names.SWEEP_STATE] in tuple(SweepState) and run.info.end_time:
        verdict = {key: tags[key] for key in _VERDICT_TAGS if key in tags}
        ended = SweepEnded(SweepState(tags[names.SWEEP_STATE]), tags.get(names.NOTE, ""), (), verdict)
        yield _happened(run.info.end_time, ended)


def _read_text(client: MlflowClient, run: Run, name: str, folder: Path) -> str:
    """A file of the sweep as MLflow has it, else as its folder has it; "" where neither does."""
    try:
        with TemporaryDirectory() as place:
            return Path(client.download_artifacts(run.info.run_id, name, place)).read_text("utf-8")
    except Exception:  # noqa: BLE001  # each artifact store raises errors of its own
        file = folder / name
        return file.read_text("utf-8", errors="replace") if file.is_file() else ""


def _read_manifest(text: str) -> dict[str, object]:
    try:
        manifest = json.loads(text)
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


# Trials


def _read_trial(client: MlflowClient, run: Run) -> Iterator[Event]:
    tags = join_tags(run.data.tags)
    trial_id = tags[names.TRIAL_ID]
    parameters = {name: parse_value(text) for name, text in run.data.params.items()}
    number, seed = int(tags[names.TRIAL_NUMBER]), int(tags[names.TRIAL_SEED])
    record = TrialRecord(trial_id, number, tags[names.TRIAL_ARM], tags[names.TRIAL_STAGE], seed, parameters)
    yield _happened(run.info.start_time, TrialStarted(record))
    state = tags.get(names.TRIAL_STATE, names.STATE_RUNNING)
    epochs, summary = _read_metrics(client, run, tags)
    for epoch, (time_ms, metrics) in epochs.items():
        ends = epoch == max(epochs) and state in (TrialState.COMPLETED, TrialState.DIVERGED)
        yield _happened(time_ms, EpochRecorded(trial_id, epoch, metrics, ends))
    if state in tuple(TrialState) and state != TrialState.STOPPED and run.info.end_time:
        own = {key: tags[key] for key in _OWN_TAGS if key in tags}
        ended = TrialEnded(trial_id, TrialState(state), tags.get(names.TRIAL_STOP_REASON, ""), summary, own)
        yield _happened(run.info.end_time, ended)


def _read_metrics(
    client: MlflowClient, run: Run, tags: Mapping[str, str]
) -> tuple[dict[int, tuple[int, dict[str, float]]], dict[str, float]]:
    """Each epoch's time and metrics, and the metrics of the whole trial."""
    times: dict[int, int] = {}
    metrics: dict[int, dict[str, float]] = defaultdict(dict)
    summary: dict[str, float] = {}
    for key in run.data.metrics:
        for point in sorted(client.get_metric_history(run.info.run_id, key), key=lambda point: point.timestamp):
            if _is_of_epoch(key):
                metrics[point.step].setdefault(key, point.value)
                times[point.step] = min(point.timestamp, times.get(point.step, point.timestamp))
            else:
                summary[key] = point.value
    for key, value, first in _list_nonfinite(tags):
        if not _is_of_epoch(key):
            summary.setdefault(key, value)
        for epoch in (each for each in metrics if each >= first and _is_of_epoch(key)):
            metrics[epoch].setdefault(key, value)
    return {epoch: (times[epoch], metrics[epoch]) for epoch in sorted(metrics)}, summary


def _is_of_epoch(key: str) -> bool:
    return key in names.EPOCH_METRICS or key.startswith((names.HEALTH_PREFIX, names.SETTING_PREFIX))


def _list_nonfinite(tags: Mapping[str, str]) -> Iterator[tuple[str, float, int]]:
    """Metrics that MLflow cannot hold: their names, the first such value, and its epoch."""
    for tag, text in tags.items():
        found = _NONFINITE.fullmatch(text) if tag.startswith(names.NONFINITE_PREFIX) else None
        if found is not None and not math.isfinite(value := float(found[1])):
            yield tag.removeprefix(names.NONFINITE_PREFIX), value, int(found[2])


def _happened(time_ms: int, what: Happening) -> Event:
    return Event(0, int(time_ms), what)
