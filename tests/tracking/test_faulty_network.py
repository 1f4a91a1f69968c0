"""Answers that are lost, late, cut off or not MLflow's: nothing is lost or doubled, and one sentence is said."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from faulty_proxy import FaultyProxy
from mlflow import MlflowClient
from mlflow.entities import ViewType

from tracking.names import TrialState
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder
from tracking.store.connection import TrackingUnavailable, check_tracking
from tracking.store.queries import list_sweeps, load_sweep
from tracking.store.registry import WinnerModel, register_winner

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("store_uri", ["server"], indirect=True)]

SECONDS = 90.0
THOROUGH_FAULTS = ("500", "503", "429", "reset")
OpenRecorder = Callable[..., Recorder]
BuildTrial = Callable[..., TrialRecord]
Record = Callable[[str], Recorder]


@pytest.fixture
def record(open_recorder: OpenRecorder, sweep: SweepRecord, build_trial: BuildTrial) -> Record:
    """Records a sweep of two trials from start to end; nothing of it need have got there."""

    def record_all(uri: str) -> Recorder:
        recorder = open_recorder(uri)
        recorder.start_sweep(sweep)
        for number in range(2):
            trial = build_trial(number)
            recorder.start_trial(trial)
            for epoch in range(1, 4):
                recorder.record_epoch(trial.trial_id, epoch, {"val_loss": 1 / epoch})
            recorder.end_trial(trial.trial_id, TrialState.COMPLETED, "", {"best_val_loss": 1 / 3})
        recorder.end_sweep("completed")
        return recorder

    return record_all


def assert_whole(uri: str, sweep: SweepRecord) -> None:
    client = MlflowClient(uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, run_view_type=ViewType.ACTIVE_ONLY)
    assert sorted(run.info.run_name for run in runs) == [sweep.sweep_id, "sgd-000", "sgd-001"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    (parent,) = [run for run in runs if run.info.run_name == sweep.sweep_id]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs if run is not parent} == {parent.info.run_id}
    for run in runs:
        for name in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            if run is parent:
                assert steps == sorted(set(steps)), name
            else:
                assert steps == ([1, 2, 3] if name == "val_loss" else [3]), name
    table = load_sweep(sweep.sweep_id, uri)
    assert [trial.trial_id for trial in table.trials] == ["sgd-000", "sgd-001"]
    assert table.notices == sweep.notices
    assert [each.sweep_id for each in list_sweeps(uri, 5)] == [sweep.sweep_id]


@pytest.mark.parametrize(
    ("path", "num_times"),
    [
        ("runs/create", 1),
        ("runs/create", 5),  # more than MLflow's client tries by itself
        *(
            pytest.param(path, num_times, marks=pytest.mark.thorough_fault)
            for path in ("experiments/create", "log-batch", "runs/update", "runs/search")
            for num_times in (1, 5)
        ),
    ],
)
def test_an_answer_that_is_lost_makes_nothing_twice(
    path: str, num_times: int, store_uri: str, proxy: FaultyProxy, record: Record, sweep: SweepRecord
) -> None:
    proxy.fault, proxy.path, proxy.num_left = "lost", path, num_times
    recorder = record(proxy.uri)
    assert recorder.flush(SECONDS), recorder.problem
    assert proxy.num_requests >= min(num_times, 3)
    assert recorder.problem is None
    assert_whole(store_uri, sweep)


@pytest.mark.parametrize(
    "fault", ["502", "html", *(pytest.param(each, marks=pytest.mark.thorough_fault) for each in THOROUGH_FAULTS)]
)
def test_a_server_that_answers_nonsense_is_waited_for(
    fault: str, store_uri: str, proxy: FaultyProxy, record: Record, sweep: SweepRecord
) -> None:
    proxy.fault = fault
    said = {
        "429": r"the server has more requests than it takes \(429\). Try again later",
        "html": r"what answers there is a web page, not MLflow. Check MLFLOW_TRACKING_URI",
        "reset": r"the connection breaks off before an answer. See the log",
    }.get(fault, rf"the server answers with an error of its own \({fault}\). See the log")
    with pytest.raises(TrackingUnavailable, match=said):
        check_tracking(proxy.uri, SECONDS)
    recorder = record(proxy.uri)
    assert not recorder.flush(6.0)
    problem = recorder.problem
    proxy.fault = ""
    assert recorder.flush(SECONDS)
    assert problem is not None
    assert said.partition(". ")[0].replace("\\", "") in problem
    assert "12 events wait in" in problem
    assert len(problem.splitlines()) == 1
    assert recorder.problem is None
    assert_whole(store_uri, sweep)


@pytest.mark.thorough_fault
def test_a_server_that_takes_five_seconds_for_each_request_gets_everything(
    store_uri: str, proxy: FaultyProxy, record: Record, sweep: SweepRecord
) -> None:
    proxy.fault, proxy.seconds = "slow", 5.0
    began = time.monotonic()
    recorder = record(proxy.uri)
    assert time.monotonic() - began < 2.0  # the driver does not wait
    assert recorder.flush(280.0), recorder.problem
    assert_whole(store_uri, sweep)


def test_a_model_whose_registration_is_answered_late_is_registered_once(
    store_uri: str, proxy: FaultyProxy, record: Record, sweep: SweepRecord
) -> None:
    assert record(store_uri).flush(SECONDS)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)).eval()
    winner = WinnerModel(network, torch.ones(1, 1, 2, 2).numpy(), {}, {"trial.id": "sgd-000"})
    proxy.fault, proxy.path, proxy.num_left = "lost", "model-versions/create", 1
    assert register_winner(proxy.uri, sweep.project, sweep.sweep_id, winner) == ""
    assert proxy.num_requests == 1
    versions = MlflowClient(store_uri).search_model_versions(f"name = '{sweep.project}'")
    assert [version.tags["trial.id"] for version in versions] == ["sgd-000"]
