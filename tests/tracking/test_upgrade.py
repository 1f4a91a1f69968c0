"""What earlier versions left behind stays readable: a journal as it was written, databases of an older MLflow."""

import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base

from sweeps.home import SweepFolder
from sweeps.running.replay import replay
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger
from tracking.analysis.leaderboard import build_leaderboard
from tracking.names import TrialState
from tracking.ranking import Goal
from tracking.recording.recorder import Recorder, deliver_journal
from tracking.report.write import write_report
from tracking.store.queries import load_sweep

# Written by the version of November 2026 (its manifest shortened): a change of this file is a change of the format.
JOURNAL = Path(__file__).with_name("recorded-2026-11") / "ended-journal.jsonl"
SWEEP_ID = "t-20261125-004428-8fd3"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return Path(shutil.copy(JOURNAL, tmp_path / "journal.jsonl"))


def test_an_old_journal_is_delivered_read_and_reported(journal: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert deliver_journal(uri, journal) == len(JOURNAL.read_text().splitlines())
    table = load_sweep(SWEEP_ID, uri)
    assert {trial.trial_id for trial in table.trials} == {"sgd-000", "sgd-confirm-00", "adam-000", "adam-confirm-00"}
    assert {trial.state for trial in table.trials} == {TrialState.COMPLETED}
    rows = build_leaderboard(table)
    assert [row.arm for row in rows] == ["sgd", "adam"]
    write_report(table, tmp_path / "report.html")
    assert "adam-confirm-00" in (tmp_path / "report.html").read_text()


def test_an_old_journal_is_gone_on_from(journal: Path, tmp_path: Path) -> None:
    lines = journal.read_text().splitlines(keepends=True)
    events = [(json.loads(line)["kind"], json.loads(line)["trial_id"]) for line in lines]
    cut = events.index(("epoch", "adam-000")) + 1
    journal.write_text("".join(lines[:cut]))  # killed after the first epoch of adam-000
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(json.loads(lines[0])["content"]["resolved"])
    spec = load_spec(resolved)
    recorder = Recorder(f"sqlite:///{tmp_path / 'mlflow.db'}", journal)
    try:
        sweep = RunningSweep(
            sweep_id=SWEEP_ID,
            spec=spec,
            ledger=Ledger(Goal(spec.metric.goal), ("sgd", "adam")),
            rules=ArmRules(("sgd", "adam"), spec.early_terminate, 2),
            recorder=recorder,
            folder=SweepFolder(tmp_path),
            num_trials={},
        )
        replay(sweep, recorder.past)
    finally:
        recorder.close(30.0)
    assert [entry.trial_id for entry in sweep.ledger.running()] == ["adam-000"]
    assert sweep.ledger.entries["adam-000"].epoch == 1
    assert sweep.ledger.entries["sgd-confirm-00"].summary["test_accuracy"] == pytest.approx(0.1247, abs=1e-4)


@pytest.mark.parametrize("age", [1, 2, 5, 20])
def test_a_database_of_an_older_mlflow_is_brought_up_to_date(age: int, journal: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    Base.metadata.create_all(sqlalchemy.create_engine(uri))
    config = _get_alembic_config(uri)
    revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]  # latest first
    command.upgrade(config, revisions[age])
    assert deliver_journal(uri, journal)
    assert len(load_sweep(SWEEP_ID, uri).trials) == 4
