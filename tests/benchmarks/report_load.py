"""How long it takes to load a large sweep from MLflow, and to write its report.

    .venv/bin/python tests/benchmarks/report_load.py [--trials 1000] [--epochs 30] [--uri postgresql://...] [--server]

The sweep is made of formulas and written into the database (SQLite where none is named) row by row, which takes a
minute; `--server` reads it through an MLflow server. Prints seconds and the processor time of this process, with
libraries loaded before, and the size of the page.
"""

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))

import build_table
import large_table
from mlflow.store.tracking.dbmodels import models
from recorded import record_table
from stores import MlflowServer

from tracking import names
from tracking.names import TrialState
from tracking.recording.events import TrialRecord
from tracking.recording.recorder import Recorder
from tracking.recording.tags import build_trial_tags
from tracking.report.write import write_report
from tracking.store.queries import load_sweep
from tracking.table import SweepTable, TrialRow, format_value


def record_quickly(table: SweepTable, uri: str, folder: Path) -> None:
    """Records one trial as a driver does, and writes rows like its for all others."""
    first = table.trials[0]
    recorder = Recorder(uri, folder / "journal.jsonl", artifact_root=folder / "artifacts")
    record_table(replace(table, trials=(first,)), recorder)
    assert recorder.close(120.0), recorder.problem
    engine = sqlalchemy.create_engine(uri)
    with engine.begin() as connection:
        tag = models.SqlTag.__table__
        template = (
            connection.execute(
                sqlalchemy.select(models.SqlRun.__table__)
                .join(tag, tag.c.run_uuid == models.SqlRun.run_uuid)
                .where(tag.c.value == first.trial_id, tag.c.key == names.TRIAL_ID)
            )
            .mappings()
            .one()
        )
        tags = dict(
            connection.execute(
                sqlalchemy.select(tag.c.key, tag.c.value).where(tag.c.run_uuid == template["run_uuid"])
            ).all()
        )
        for trial in table.trials[1:]:
            _insert(connection, table.sweep_id, trial, dict(template), tags)
    engine.dispose()


def _insert(
    connection: sqlalchemy.Connection, sweep_id: str, trial: TrialRow, run: dict[str, Any], tags: dict[str, str]
) -> None:
    run_id = uuid.uuid4().hex
    record = TrialRecord(trial.trial_id, trial.number, trial.arm, trial.stage, trial.seed, trial.parameters)
    own = tags | build_trial_tags(sweep_id, record) | {names.TRIAL_STATE: str(trial.state or TrialState.STOPPED)}
    points = [
        {"run_uuid": run_id, "key": key, "step": step, "value": value, "timestamp": step * 1000, "is_nan": False}
        for key, history in trial.history.items()
        for step, value in history
    ]
    last = {each["key"]: each for each in points}
    last |= {
        key: {"run_uuid": run_id, "key": key, "step": 0, "value": value, "timestamp": 0, "is_nan": False}
        for key, value in trial.summary.items()
        if key not in last
    }
    rows: dict[Any, list[dict[str, Any]]] = {
        models.SqlRun: [run | {"run_uuid": run_id, "name": trial.trial_id}],
        models.SqlTag: [{"run_uuid": run_id, "key": key, "value": value} for key, value in own.items()],
        models.SqlParam: [
            {"run_uuid": run_id, "key": key, "value": format_value(value)} for key, value in trial.parameters.items()
        ],
        models.SqlMetric: points,
        models.SqlLatestMetric: list(last.values()),
    }
    for model, each in rows.items():
        connection.execute(sqlalchemy.insert(model.__table__), each)


def measure(what: str, work: Callable[[], Any]) -> Any:
    """Prints how long something took, and returns what it gave."""
    start, used = time.perf_counter(), time.process_time()
    found = work()
    print(f"{what}: {time.perf_counter() - start:.2f} s, processor {time.process_time() - used:.2f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--uri", default="")
    parser.add_argument("--server", action="store_true")
    arguments = parser.parse_args()
    large_table.NUM_EPOCHS = build_table.NUM_EPOCHS = arguments.epochs
    large_table.RUNGS = ()  # every trial to its end: the most there is to load
    folder = Path(tempfile.mkdtemp(prefix="report-load-"))
    uri = arguments.uri or f"sqlite:///{folder / 'mlflow.db'}"
    table = large_table.build_large_table(arguments.trials // 4)
    small = large_table.build_large_table(12)
    measure("a small report, with the libraries loaded", lambda: write_report(small, folder / "report.html"))
    measure("recording", lambda: record_quickly(table, uri, folder))
    server = MlflowServer(folder, uri) if arguments.server else None
    if server is not None:
        server.start()
    try:
        address = uri if server is None else server.uri
        load_sweep(table.sweep_id, address)  # the store is opened
        loaded = measure("loading", lambda: load_sweep(table.sweep_id, address))
    finally:
        if server is not None:
            server.stop()
    num_epochs = sum(trial.num_epochs for trial in loaded.trials)
    print(f"{len(loaded.trials)} trials, {num_epochs} epochs, {len(loaded.trials[0].history)} metrics")
    measure("report", lambda: write_report(loaded, folder / "report.html"))
    print(f"page: {(folder / 'report.html').stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
