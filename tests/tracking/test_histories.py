"""Histories of many runs are those that MLflow gives of one, and take no more questions the more runs there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Metric
from sqlalchemy.engine import Engine

from tracking.store import histories
from tracking.store.connection import open_client
from tracking.store.histories import load_histories

NUM_RUNS = 6


def record_runs(client: MlflowClient, number: int = NUM_RUNS) -> dict[str, list[str]]:
    """Runs with different metrics, and what is wanted; of the first one a point comes twice, and one is no number."""
    experiment = client.create_experiment("histories")
    for index in range(number):
        run = client.create_run(experiment)
        metrics = [Metric("loss", 1 / step, 1000 * step, step) for step in range(1, 4 + index)]
        metrics += [
            Metric("health_largest", 1.0, 0, 1),
            Metric("loss", 9.0, 1, 1) if index == 0 else metrics[0],
        ]
        metrics += [Metric("loss", float("nan"), 0, 2), *([Metric("seconds", 2.0, 5, 1)] if index % 2 else [])]
        client.log_batch(run.info.run_id, metrics=metrics)
    runs = client.search_runs([experiment])
    return {run.info.run_id: [key for key in run.data.metrics if not key.startswith("health")] for run in runs}


def test_histories_are_those_that_mlflow_gives_run_by_run(store_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = open_client(store_uri)
    runs = record_runs(client)
    monkeypatch.setattr(histories, "RUNS_AT_ONCE", 2)
    found = load_histories(client, runs)
    assert found.keys() == runs.keys()
    for run_id in runs:
        expected: dict[str, dict[int, float]] = {}
        for key in ("loss", "seconds"):
            for point in sorted(client.get_metric_history(run_id, key), key=lambda each: each.timestamp):
                if point.value == point.value:
                    expected.setdefault(key, {}).setdefault(point.step, point.value)
        assert found[run_id] == {key: tuple(sorted(each.items())) for key, each in expected.items()}
    first = next(each for each in found.values() if len(each["loss"]) == 3)
    assert first["loss"] == ((1, 9.0), (2, 0.5), (3, 1 / 3))


def test_where_a_server_leaves_points_out_it_is_asked_run_by_run(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(store_uri)
    runs = record_runs(client)
    whole = load_histories(client, runs)
    monkeypatch.setattr(histories, "MAX_POINTS", 5)
    assert load_histories(client, runs) == whole


def test_a_server_that_does_not_know_the_question_is_asked_run_by_run(
    store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(store_uri)
    runs = record_runs(client)
    whole = load_histories(client, runs)
    monkeypatch.setattr(histories, "_BULK_ROUTE", "/ajax-api/2.0/mlflow/metrics/no-such-route")
    assert load_histories(client, runs) == whole


def test_a_database_is_asked_as_often_for_many_runs_as_for_few(sqlite_uri: str) -> None:
    client = open_client(sqlite_uri)
    runs = record_runs(client, 12)
    assert count_statements(lambda: load_histories(client, runs)) == count_statements(
        lambda: load_histories(client, dict(list(runs.items())[:2]))
    )


def count_statements(work: Callable[[], object]) -> int:
    with listening() as statements:
        work()
    return len(statements)


@contextmanager
def listening() -> Iterator[list[str]]:
    """The statements that SQLAlchemy sends meanwhile."""
    statements: list[str] = []

    def hear(_: object, __: object, statement: str, *___: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    sqlalchemy.event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield statements
    finally:
        sqlalchemy.event.remove(Engine, "before_cursor_execute", hear)
