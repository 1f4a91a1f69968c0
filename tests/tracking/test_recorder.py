"""The recorder against real stores: SQLite, and a server on PostgreSQL that asks for a password."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from tracking.names import TrialState
from tracking.recording.events import EpochRecorded, SweepRecord, SweepStarted, TrialRecord, TrialStarted
from tracking.recording.journal import Journal, JournalBusy
from tracking.recording.recorder import Recorder, deliver_journal
from tracking.store.queries import SweepNotFound, list_sweeps, load_sweep
from tracking.table import SweepTable

SECONDS = 60.0  # how long a flush may take on a busy machine; it returns as soon as it is done

OpenRecorder = Callable[..., Recorder]
BuildTrial = Callable[..., TrialRecord]


def build_metrics(epoch: int, **changes: float) -> dict[str, float]:
    return {"val_accuracy": 0.1 * epoch, "val_loss": 2.0 / epoch, "train_seconds": 1.5, **changes}


def record_trial(recorder: Recorder, trial: TrialRecord, num_epochs: int, state: TrialState | None = None) -> None:
    recorder.start_trial(trial)
    for epoch in range(1, num_epochs + 1):
        recorder.record_epoch(trial.trial_id, epoch, build_metrics(epoch))
    if state is not None:
        recorder.end_trial(trial.trial_id, state, "because", {"best_val_accuracy": 0.1 * num_epochs})


def read_runs(uri: str) -> dict[str, Run]:
    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, run_view_type=ViewType.ALL)
    by_name = {run.info.run_name: run for run in runs}
    assert len(by_name) == len(runs), "a run exists twice"
    return by_name


def assert_no_point_twice(uri: str, runs: dict[str, Run]) -> None:
    client = MlflowClient(uri)
    for run in runs.values():
        for key in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
            assert len(steps) == len(set(steps)), f"{run.info.run_name} {key}: {steps}"


def history(table: SweepTable, trial_id: str, metric: str = "val_accuracy") -> list[int]:
    trial = next(trial for trial in table.trials if trial.trial_id == trial_id)
    return [epoch for epoch, _ in trial.history[metric]]


def test_a_sweep_has_run_for_the_time_under_its_drivers(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord
) -> None:
    first = open_recorder(store_uri)
    begun = first.now_ms() - 86_400_000
    first.start_sweep(sweep, time_ms=begun)
    first.record_epoch("t", 1, {}, time_ms=begun + 40_000)  # killed after that
    assert first.close(SECONDS)
    second = open_recorder(store_uri)
    second.start_sweep(sweep)
    assert second.flush(SECONDS)
    assert load_sweep(sweep.sweep_id, store_uri).seconds is None, "it runs"
    second.end_sweep("completed")
    assert second.close(SECONDS)
    seconds = load_sweep(sweep.sweep_id, store_uri).seconds
    assert seconds is not None
    assert 40.0 <= seconds < 40.0 + SECONDS


def test_a_whole_sweep_comes_back_as_it_was(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    report.write_text("<html>")
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    for number, state in enumerate(TrialState):
        record_trial(recorder, build_trial(number), 3, state)
    confirm = build_trial(0, "adam", "confirm", lr=1e-5, seed=7)
    recorder.start_trial(confirm)
    recorder.end_trial(confirm.trial_id, TrialState.COMPLETED, "", {"test_accuracy": 0.625})
    recorder.end_sweep("completed", "# Leaderboard", (report,))

    assert recorder.close(SECONDS)
    assert recorder.problem is None
    assert recorder.pending == 0
    table = load_sweep(sweep.sweep_id, store_uri)
    assert (table.name, table.project, table.state) == ("optimizers", "cifar10", "completed")
    assert (table.goal_metric, table.goal, table.compare) == ("val_accuracy", "maximize", "optimizer")
    assert (table.arms, table.searched, table.notices) == (sweep.arms, sweep.searched, sweep.notices)
    assert table.manifest == sweep.manifest
    assert table.sweep_file == sweep.sweep_file
    assert [trial.state for trial in table.select("sgd")] == list(TrialState)
    assert {trial.stop_reason for trial in table.select()} == {"because"}
    first = table.trials[0]
    assert first.parameters == build_trial(0).parameters
    assert {type(value) for value in first.parameters.values()} == {str, float, int, bool, type(None)}
    assert first.history["val_accuracy"] == ((1, 0.1), (2, 0.2), (3, pytest.approx(0.3)))
    assert first.summary["best_val_accuracy"] == pytest.approx(0.3)
    assert first.start_time is not None
    assert first.end_time is not None
    assert table.confirmed("adam")[0].summary == {"test_accuracy": 0.625}
    runs = read_runs(store_uri)
    parent = runs[sweep.sweep_id]
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["mlflow.note.content"] == "# Leaderboard"
    assert parent.data.tags["sweep.method"] == "bayes"
    artifacts = MlflowClient(store_uri).list_artifacts(parent.info.run_id)
    assert {artifact.path for artifact in artifacts} == {"sweep.yaml", "resolved.yaml", "manifest.json", "report.html"}
    children = [run for name, run in runs.items() if name != sweep.sweep_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert [runs[f"sgd-{number:03d}"].info.status for number in range(5)] == [s.mlflow_status for s in TrialState]
    assert list_sweeps(store_uri, 5)[0].sweep_id == sweep.sweep_id


def create_experiment(client: MlflowClient, sweep: SweepRecord, folder: Path, tags: dict[str, str]) -> str:
    root = None if client.tracking_uri.startswith("http") else (folder / "artifacts").as_uri()
    return str(client.create_experiment(sweep.project, artifact_location=root, tags=tags))


def test_runs_say_what_was_started_and_on_which_images(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    client = MlflowClient(store_uri)
    experiment = create_experiment(client, sweep, tmp_path, {})  # by an earlier version
    for _ in range(2):  # a resume changes nothing
        recorder = open_recorder(store_uri)
        recorder.start_sweep(sweep)
        record_trial(recorder, build_trial(), 1, TrialState.COMPLETED)
        assert recorder.close(SECONDS)
    assert client.get_experiment(experiment).tags["mlflow.experimentKind"] == "custom_model_development"
    for run in read_runs(store_uri).values():
        assert run.data.tags["mlflow.source.name"] == "optimizers.yaml"
        assert run.data.tags["mlflow.project.entryPoint"] == "sweeps run"
        assert run.data.tags["mlflow.source.git.commit"] == "0f9c"
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("synthetic", 32 * "a")
        assert json.loads(used.dataset.profile) == {"num_classes": 10}
        assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]


def test_what_an_experiment_is_of_stays_as_somebody_has_said(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, tmp_path: Path
) -> None:
    client = MlflowClient(store_uri)
    experiment = create_experiment(client, sweep, tmp_path, {"mlflow.experimentKind": "genai_development"})
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    assert recorder.close(SECONDS)
    assert client.get_experiment(experiment).tags["mlflow.experimentKind"] == "genai_development"


def test_the_sweeps_own_series_grow_with_it_and_go_on_after_a_resume(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    for number in range(3):  # each driver ends without a word; the second one's deliveries are not noted
        recorder = open_recorder(store_uri)
        recorder.start_sweep(sweep)
        record_trial(recorder, build_trial(number), number + 1, TrialState.COMPLETED)
        record_trial(recorder, build_trial(number, "adam"), 1)
        assert recorder.close(SECONDS)
        if number == 1:
            (tmp_path / "sweep" / "journal.jsonl.delivered").unlink()
    assert read_series(store_uri, sweep.sweep_id, "best_by_trials/sgd") == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3})
    assert list(read_series(store_uri, sweep.sweep_id, "progress/trials_ended").values()) == [1, 2, 3]
    assert [*read_series(store_uri, sweep.sweep_id, "best_by_seconds/adam").values()] == pytest.approx([0.1])


def read_series(uri: str, name: str, key: str) -> dict[int, float]:
    """The points of a run's metric by step; fails where a step is there twice."""
    points = MlflowClient(uri).get_metric_history(read_runs(uri)[name].info.run_id, key)
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in sorted(points, key=lambda point: point.step)}


def test_health_is_read_of_each_arms_best_trial_only(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    for number, accuracy in enumerate((0.2, 0.5, 0.3)):
        trial = build_trial(number)
        recorder.start_trial(trial)
        for epoch in (1, 2):
            values = {"val_accuracy": accuracy, "health.gradient_norm": 10.0 * number + epoch}
            recorder.record_epoch(trial.trial_id, epoch, values)
        recorder.end_trial(trial.trial_id, TrialState.COMPLETED, "", {})
    recorder.end_sweep("completed")
    assert recorder.close(SECONDS)

    table = load_sweep(sweep.sweep_id, store_uri)

    assert table.health == {"sgd-001": {"health.gradient_norm": ((1, 11.0), (2, 12.0))}}
    assert not [name for trial in table.trials for name in trial.history if name.startswith("health.")]


def test_times_are_those_of_the_events_not_of_the_delivery(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    record_trial(recorder, build_trial(), 2, TrialState.COMPLETED)
    recorder.close(SECONDS)

    journal = Journal(tmp_path / "sweep" / "journal.jsonl")
    journal.close()
    events = {(event.what.kind, getattr(event.what, "epoch", None)): event.time_ms for event in journal.events}
    run = read_runs(store_uri)["sgd-000"]
    points = MlflowClient(store_uri).get_metric_history(run.info.run_id, "val_loss")
    assert run.info.start_time == events["start_trial", None]
    assert [point.timestamp for point in points] == [events["epoch", 1], events["epoch", 2]]
    assert run.info.end_time == events["end_trial", None]


def test_values_that_are_not_finite_are_told_in_a_tag_and_kept_out_of_the_charts(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    trial = build_trial()
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    recorder.start_trial(trial)
    recorder.record_epoch(trial.trial_id, 1, build_metrics(1))
    recorder.record_epoch(trial.trial_id, 2, build_metrics(2, val_loss=math.nan))
    recorder.record_epoch(trial.trial_id, 3, build_metrics(3, val_loss=math.inf, val_accuracy=-math.inf))
    recorder.end_trial(trial.trial_id, TrialState.DIVERGED, "not finite", {"best_val_loss": math.nan})
    assert recorder.close(SECONDS)

    run = read_runs(store_uri)[trial.trial_id]
    assert run.data.tags["nonfinite.val_loss"] == "nan at epoch 2"
    assert run.data.tags["nonfinite.val_accuracy"] == "-inf at epoch 3"
    assert "best_val_loss" not in run.data.metrics
    row = load_sweep(sweep.sweep_id, store_uri).trials[0]
    assert row.history["val_loss"] == ((1, 2.0),)
    assert [epoch for epoch, _ in row.history["train_seconds"]] == [1, 2, 3]
    assert all(math.isfinite(value) for value in row.summary.values())


def test_trials_left_open_are_closed_with_the_sweep(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    record_trial(recorder, build_trial(0), 2, TrialState.COMPLETED)
    record_trial(recorder, build_trial(1), 2)
    recorder.end_sweep("interrupted")
    assert recorder.close(SECONDS)

    runs = read_runs(store_uri)
    assert {name: run.info.status for name, run in runs.items()} == {
        sweep.sweep_id: "KILLED",
        "sgd-000": "FINISHED",
        "sgd-001": "KILLED",
    }
    table = load_sweep(sweep.sweep_id, store_uri)
    assert table.state == "interrupted"
    assert table.trials[1].state is TrialState.STOPPED
    assert "ended before this trial" in table.trials[1].stop_reason


def test_a_resumed_sweep_goes_on_in_its_runs_and_repeats_no_epoch(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    resumed, lost = build_trial(0), build_trial(1)
    first = open_recorder(store_uri)
    first.start_sweep(sweep)
    record_trial(first, resumed, 4)
    record_trial(first, lost, 1)
    assert first.close(SECONDS)

    second = open_recorder(store_uri)
    second.start_sweep(sweep)
    assert second.flush(SECONDS)
    between = {name: run.info.status for name, run in read_runs(store_uri).items()}
    second.start_trial(replace(resumed, parameters={**resumed.parameters, "data_dir": "/elsewhere"}))
    for epoch in range(3, 7):  # from the checkpoint of epoch 2
        second.record_epoch(resumed.trial_id, epoch, build_metrics(epoch, train_seconds=99.0))
    second.end_trial(resumed.trial_id, TrialState.COMPLETED, "", {"best_val_accuracy": 0.6})
    second.end_sweep("completed")
    assert second.close(SECONDS)

    assert between == {sweep.sweep_id: "RUNNING", "sgd-000": "KILLED", "sgd-001": "KILLED"}
    runs = read_runs(store_uri)
    assert_no_point_twice(store_uri, runs)
    table = load_sweep(sweep.sweep_id, store_uri)
    rows = {trial.trial_id: trial for trial in table.trials}
    assert history(table, resumed.trial_id) == [1, 2, 3, 4, 5, 6]
    assert [value for _, value in rows[resumed.trial_id].history["train_seconds"]] == [1.5] * 4 + [99.0] * 2
    assert rows[resumed.trial_id].state is TrialState.COMPLETED
    assert rows[resumed.trial_id].stop_reason == ""
    assert rows[lost.trial_id].state is TrialState.STOPPED
    assert {run.info.status for run in runs.values()} == {"FINISHED", "KILLED"}


def test_sending_everything_twice_changes_nothing(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    record_trial(recorder, build_trial(0), 3, TrialState.COMPLETED)
    record_trial(recorder, build_trial(1), 3, TrialState.EARLY_STOPPED)
    recorder.end_sweep("completed", "note")
    assert recorder.close(SECONDS)
    before = load_sweep(sweep.sweep_id, store_uri)
    (tmp_path / "sweep" / "journal.jsonl.delivered").unlink()

    num_events = deliver_journal(store_uri, tmp_path / "sweep" / "journal.jsonl")

    assert num_events == 12
    assert load_sweep(sweep.sweep_id, store_uri) == before
    runs = read_runs(store_uri)
    assert_no_point_twice(store_uri, runs)
    assert deliver_journal(store_uri, tmp_path / "sweep" / "journal.jsonl") == 0


def test_what_mlflow_refuses_does_not_hold_up_the_rest(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    recorder.record_epoch("never-started", 1, build_metrics(1))
    record_trial(recorder, build_trial(0), 1)
    recorder.start_trial(replace(build_trial(2), parameters={"a name # that MLflow refuses": 1.0}))
    record_trial(recorder, build_trial(1), 2, TrialState.COMPLETED)

    assert recorder.close(SECONDS)

    assert recorder.problem is not None
    assert "never-started" in recorder.problem
    assert "1 more" in recorder.problem
    table = load_sweep(sweep.sweep_id, store_uri)
    assert history(table, "sgd-000") == [1]
    assert history(table, "sgd-001") == [1, 2]


def test_metrics_whose_names_mlflow_refuses_are_kept_apart_under_names_like_them(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    trial = build_trial(0)
    recorder.start_trial(trial)
    recorder.record_epoch(trial.trial_id, 1, {"layer#0": 1.0, "layer[0": 2.0, "layer_0": 3.0, "layer(0": float("nan")})
    recorder.end_trial(trial.trial_id, TrialState.COMPLETED, "NUL \0 and half a character \udc80", {})
    assert recorder.close(SECONDS)
    assert recorder.problem is None
    (row,) = load_sweep(sweep.sweep_id, store_uri).trials
    assert sorted(points for key, points in row.history.items() if key.startswith("layer_0")) == [
        ((1, 1.0),),
        ((1, 2.0),),
        ((1, 3.0),),
    ]
    assert row.stop_reason == "NUL \\x00 and half a character \\udc80"


def test_a_run_deleted_in_the_ui_stays_deleted(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    record_trial(recorder, build_trial(0), 1)
    assert recorder.flush(SECONDS)
    MlflowClient(store_uri).delete_run(read_runs(store_uri)["sgd-000"].info.run_id)
    recorder.record_epoch("sgd-000", 2, build_metrics(2))
    record_trial(recorder, build_trial(1), 1, TrialState.COMPLETED)
    recorder.end_sweep("completed")

    assert recorder.close(SECONDS)

    table = load_sweep(sweep.sweep_id, store_uri)
    assert [trial.trial_id for trial in table.trials] == ["sgd-001"]
    assert table.state == "completed"


def test_an_artifact_that_is_gone_is_told_and_ends_nothing(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, tmp_path: Path
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    recorder.end_sweep("completed", "", (tmp_path / "missing.html",))

    assert recorder.close(SECONDS)

    assert "missing.html could not be stored" in (recorder.problem or "")
    assert load_sweep(sweep.sweep_id, store_uri).state == "completed"


def test_two_recorders_cannot_write_one_sweep(open_recorder: OpenRecorder, store_uri: str) -> None:
    open_recorder(store_uri)

    with pytest.raises(JournalBusy):
        open_recorder(store_uri)


def test_nothing_is_delivered_by_others_while_the_sweep_runs(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, tmp_path: Path
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)

    assert deliver_journal(store_uri, tmp_path / "sweep" / "journal.jsonl") == 0
    assert deliver_journal(store_uri, tmp_path / "never-written.jsonl") == 0


def test_two_sweeps_of_one_project_share_an_experiment(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial, tmp_path: Path
) -> None:
    other = replace(sweep, sweep_id="optimizers-20261125-000000-0001")
    recorders = [open_recorder(store_uri, tmp_path / str(index) / "j") for index in range(2)]
    for recorder, record in zip(recorders, (sweep, other), strict=True):
        recorder.start_sweep(record)
        record_trial(recorder, build_trial(), 2, TrialState.COMPLETED)
        recorder.end_sweep("completed")
    assert all(recorder.close(SECONDS) for recorder in recorders)

    assert {summary.sweep_id for summary in list_sweeps(store_uri, 10)} == {sweep.sweep_id, other.sweep_id}
    assert len(load_sweep(other.sweep_id, store_uri).trials) == 1
    assert len(list_sweeps(store_uri, 1)) == 1


def test_an_unknown_sweep_is_answered_with_the_latest_ones(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord
) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    assert recorder.close(SECONDS)

    with pytest.raises(SweepNotFound, match=f"nope: no such sweep .* the latest: {sweep.sweep_id}"):
        load_sweep("nope", store_uri)
    with pytest.raises(SweepNotFound, match="no such sweep"):
        load_sweep("x' OR ''='", store_uri)


def test_the_environment_is_left_as_it_was(open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord) -> None:
    names = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR")
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)

    assert recorder.close(SECONDS)
    assert not [name for name in names if name in os.environ]


def test_calls_after_the_end_do_not_raise(open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord) -> None:
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    assert recorder.close(SECONDS)

    recorder.record_epoch("x", 1, {"val_loss": 1.0})

    assert "after the recorder was closed" in (recorder.problem or "")
    assert recorder.close(0.0)


def test_many_epochs_take_few_calls(
    open_recorder: OpenRecorder, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    """More points than MLflow takes in one call."""
    recorder = open_recorder(store_uri)
    recorder.start_sweep(sweep)
    record_trial(recorder, build_trial(**{f"setting_{index}": index for index in range(150)}), 390)
    assert recorder.close(SECONDS)

    row = load_sweep(sweep.sweep_id, store_uri).trials[0]
    assert [epoch for epoch, _ in row.history["val_loss"]] == list(range(1, 391))
    assert len(row.parameters) == 155


def test_epochs_of_many_trials_that_wait_go_out_trial_by_trial(
    tmp_path: Path, store_uri: str, sweep: SweepRecord, build_trial: BuildTrial
) -> None:
    """However they came: as many calls as trials, and no more for as many epochs."""
    journal = Journal(tmp_path / "journal.jsonl")
    trials = [build_trial(number) for number in range(6)]
    happened = [SweepStarted(sweep), *map(TrialStarted, trials)]
    happened += [
        EpochRecorded(trial.trial_id, epoch, build_metrics(epoch)) for epoch in range(1, 121) for trial in trials
    ]
    for what in happened:
        journal.append(journal.build_event(1_790_000_000_000, what))
    journal.close()

    recorder = Recorder(store_uri, tmp_path / "journal.jsonl", artifact_root=tmp_path / "artifacts")
    assert recorder.flush(SECONDS)
    num_answers = recorder.num_answers
    assert recorder.close(SECONDS)

    assert num_answers <= 2 * len(trials) + 6
    table = load_sweep(sweep.sweep_id, store_uri)
    assert all(history(table, trial.trial_id) == list(range(1, 121)) for trial in trials)
