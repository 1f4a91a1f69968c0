"""The metrics of many runs, epoch by epoch, in few questions: MLflow's client asks for one metric of one run at a time.

A database is read by run, all metrics at once. A server is asked as its own pages ask, for one metric of many runs; one
that does not know the question is asked run by run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tracking.table import Points

if TYPE_CHECKING:
    from mlflow import MlflowClient

    Point = tuple[str, str, int, int, float]  # run id, metric, step, milliseconds since 1970, value

NUM_READERS = 8
RUNS_AT_ONCE = 100  # a server refuses more
MAX_POINTS = 25_000  # a server leaves out what is beyond, without a word
_BULK_ROUTE = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"

History = dict[str, Points]


def load_histories(client: MlflowClient, wanted: Mapping[str, Collection[str]]) -> dict[str, History]:
    """Run id -> metric -> points by epoch; of a point recorded twice the first that is finite.

    Args:
        client: Of MLflow.
        wanted: Run id -> names of its metrics.

    Raises:
        mlflow.exceptions.MlflowException: MLflow cannot be read.
        sqlalchemy.exc.SQLAlchemyError: Nor its database.
    """
    histories: dict[str, History] = {run_id: dict.fromkeys(keys, ()) for run_id, keys in wanted.items()}
    found: dict[tuple[str, str], dict[int, tuple[int, float]]] = {}
    for run_id, key, step, time_ms, value in _read_points(client, wanted):
        if math.isfinite(value):
            points, point = found.setdefault((run_id, key), {}), (time_ms, value)
            if points.setdefault(step, point) > point:
                points[step] = point
    for (run_id, key), points in found.items():
        if key in histories[run_id]:
            histories[run_id][key] = tuple((step, points[step][1]) for step in sorted(points))
    return histories


def _read_points(client: MlflowClient, wanted: Mapping[str, Collection[str]]) -> Iterator[Point]:
    from mlflow.store.tracking.rest_store import RestStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store, keys = client._tracking_client.store, sorted(set().union(*wanted.values()))
    if isinstance(store, SqlAlchemyStore):
        yield from _read_database(store, list(wanted), keys)
        return
    asked = [
        (key, batch) for key in keys for batch in _split([run_id for run_id, each in wanted.items() if key in each])
    ]
    with ThreadPoolExecutor(NUM_READERS) as pool:
        ask = _ask_server if isinstance(store, RestStore) else _ask_by_run
        for points in pool.map(lambda each: ask(client, *each), asked):
            yield from points


def _split(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (run_ids[first : first + RUNS_AT_ONCE] for first in range(0, len(run_ids), RUNS_AT_ONCE))


def _read_database(store: Any, run_ids: Sequence[str], keys: Sequence[str]) -> Iterator[Point]:
    """Reads MLflow's table of metrics by the description of it that MLflow has, row by row and not object by object."""
    from mlflow.store.tracking.dbmodels.models import SqlMetric
    from sqlalchemy import select

    columns = (SqlMetric.run_uuid, SqlMetric.key, SqlMetric.step, SqlMetric.timestamp, SqlMetric.value)
    with store.ManagedSessionMaker() as session:
        for batch in _split(run_ids):
            is_wanted = SqlMetric.run_uuid.in_(batch), SqlMetric.key.in_(keys), SqlMetric.is_nan.is_(False)
            yield from session.execute(select(*columns).where(*is_wanted))


def _ask_server(client: MlflowClient, key: str, run_ids: Sequence[str]) -> Iterable[Point]:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.rest_utils import http_request_safe

    credentials = client._tracking_client.store.get_host_creds()
    wanted = {"run_id": list(run_ids), "metric_key": key, "max_results": MAX_POINTS}
    try:
        metrics = http_request_safe(credentials, _BULK_ROUTE, "GET", params=wanted).json()["metrics"]
    except (MlflowException, ValueError, KeyError):  # another server than MLflow's own, or one that forbids it
        return _ask_by_run(client, key, run_ids)
    if len(metrics) >= MAX_POINTS:
        return _ask_by_run(client, key, run_ids)
    return [(each["run_id"], key, each["step"], each["timestamp"], float(each["value"])) for each in metrics]


def _ask_by_run(client: MlflowClient, key: str, run_ids: Sequence[str]) -> Iterable[Point]:
    return [
        (run_id, key, metric.step, metric.timestamp, metric.value)
        for run_id in run_ids
        for metric in client.get_metric_history(run_id, key)
    ]
