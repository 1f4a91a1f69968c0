"""MLflow goes away when all is delivered and the report is about to be written: the result waits, and is said to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow import MlflowClient
from stores import MlflowServer

from sweeps.driver import outcome
from sweeps.driver.settling import settle
from sweeps.errors import ExitCode
from sweeps.home import Home
from sweeps.running.lifecycle import Ending, end, start
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger, TrialEntry
from tracking.names import STAGE_SEARCH, SweepState, TrialState
from tracking.ranking import Goal
from tracking.recording.events import SweepEnded, SweepRecord
from tracking.recording.journal import Journal
from tracking.recording.recorder import Recorder
from tracking.store.queries import find_parent


@pytest.fixture
def sweep_that_ended(
    home: Home, tmp_path: Path, mlflow_server: MlflowServer, sweep: SweepRecord, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningSweep]:
    """One whose only trial is completed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    file = tmp_path / "one.yaml"
    file.write_text("method: random\nbudget: {trials: 1}\nparameters: {dataset: synthetic, lr: {min: 0.1, max: 0.2}}\n")
    spec, folder = load_spec(file), home.folder(sweep.sweep_id)
    recorder = Recorder(mlflow_server.uri, folder.journal)
    running = RunningSweep(
        sweep_id=sweep.sweep_id,
        spec=spec,
        ledger=Ledger(Goal.MAXIMIZE, sweep.arms),
        rules=ArmRules(sweep.arms, None, 8, dict.fromkeys(sweep.arms, 1), 0),
        recorder=recorder,
        folder=folder,
        num_trials=dict.fromkeys(sweep.arms, 1),
    )
    recorder.start_sweep(sweep)
    entry = TrialEntry("sgd-000", sweep.arms[0], STAGE_SEARCH, 0, 0, {"lr": 0.1})
    running.ledger.add(entry)
    start(running, entry)
    end(running, entry, Ending(TrialState.COMPLETED, "epochs"))
    yield running
    recorder.close(0.0)


def test_a_result_that_cannot_be_read_is_said_with_the_command_and_changes_no_state(
    sweep_that_ended: RunningSweep, home: Home, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, monitored = outcome.load_sweep, sweep_that_ended

    def load_when_away(*arguments: Any) -> Any:
        mlflow_server.stop()
        try:
            return load(*arguments)
        finally:
            mlflow_server.start()

    monkeypatch.setattr(outcome, "load_sweep", load_when_away)
    found = outcome.finish(monitored, cast("Any", None), home)
    assert (found.state, found.exit_code) == (SweepState.COMPLETED, ExitCode.UNREACHABLE)
    assert "its report could not be written now (" in found.problem
    assert f"`sweeps report {monitored.sweep_id}`" in found.problem
    monitored.recorder.close(30.0)
    with closing(Journal(monitored.folder.journal)) as journal:
        last = journal.events[-1].what
    assert isinstance(last, SweepEnded)
    assert last.state is SweepState.COMPLETED
    assert load(monitored.sweep_id, mlflow_server.uri).state == "completed"
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    check_what_is_left_is_done_later(monitored.sweep_id, home, mlflow_server)


def check_what_is_left_is_done_later(sweep_id: str, home: Home, server: MlflowServer) -> None:
    client = MlflowClient(server.uri)
    run = find_parent(client, sweep_id)
    assert "report.html" not in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert settle(sweep_id, home).done == ("its report is stored with its run in MLflow",)
    after = find_parent(client, sweep_id)
    assert {"report.html", "trials.csv"} <= {file.path for file in client.list_artifacts(run.info.run_id)}
    assert "| sgd |" in after.data.tags["mlflow.note.content"]
    assert after.info.end_time == run.info.end_time, "it ended when it ended"
    assert settle(sweep_id, home).done == (), "once"
