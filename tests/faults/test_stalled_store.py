"""A store that stands still or restarts in the middle of a sweep: nothing is lost, nothing is there twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import played_sweep
import pytest
from checker import check_sweep
from played_sweep import SWEEP_ID, record_sweep

from sweeps.driver.settling import settle
from sweeps.home import Home
from tracking.store.connection import check_tracking

Act = Callable[[], None]
FAULT_AT = 12  # epochs of all trials that have ended by then; the whole sweep has some 30


@contextmanager
def fault_in_the_middle(begin: Act, end: Act, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begins a fault after some epochs of a played sweep, and ends it that much later, while the sweep goes on."""
    train, num_epochs = played_sweep.train, 0
    repair = threading.Timer(seconds, end)

    def train_and_break(*arguments: Any) -> dict[str, Any]:
        nonlocal num_epochs
        num_epochs += 1
        if num_epochs == FAULT_AT:
            begin()
            repair.start()
        return train(*arguments)

    monkeypatch.setattr(played_sweep, "train", train_and_break)
    try:
        yield
    finally:
        assert num_epochs > FAULT_AT, "the fault was not in the middle"
        repair.join()


@pytest.mark.parametrize("seconds", [4.0, pytest.param(45.0, marks=pytest.mark.thorough_fault)])
def test_a_server_that_stands_still_for_a_while(
    seconds: float, mlflow_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    home = Home(tmp_path / "results")
    stop, go_on = (lambda number=number: mlflow_server.signal(number) for number in (signal.SIGSTOP, signal.SIGCONT))
    with fault_in_the_middle(stop, go_on, seconds, monkeypatch):
        record_sweep(home, "asha_promotion")
    settle(SWEEP_ID, home)  # as `sweeps sync` does: the end of a sweep waits a minute for MLflow, and no longer
    check_sweep(home, SWEEP_ID)


@pytest.mark.postgres
@pytest.mark.parametrize("seconds", [3.0])
def test_postgresql_that_is_restarted(
    seconds: float, postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.create_database("restarted")
    check_tracking(uri, 120.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)  # where MLflow puts artifacts then
    home = Home(tmp_path / "results")
    with fault_in_the_middle(postgres.stop, postgres.start, seconds, monkeypatch):
        record_sweep(home, "asha_promotion")
    settle(SWEEP_ID, home)  # as `sweeps sync` does: the end of a sweep waits a minute for MLflow, and no longer
    check_sweep(home, SWEEP_ID)
