"""Real stores for the tracking tests: SQLite, a PostgreSQL server, and an MLflow server that can be stopped."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder
from tracking.store.connection import check_tracking

PASSWORD = "s3cret-Pa55"


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def sweep() -> SweepRecord:
    return SweepRecord(
        sweep_id="optimizers-20261124-031500-9f3a",
        name="optimizers",
        project="cifar10",
        description="Which optimizer?",
        sweep_file="name: optimizers\n",
        resolved="name: optimizers\nseed: 0\n",
        manifest={"git": {"commit": "0f9c"}, "seed": 0},
        tags={"sweep.method": "bayes", "sweep.dataset": "synthetic"},
        goal_metric="val_accuracy",
        goal="maximize",
        compare="optimizer",
        arms=("sgd", "adam"),
        searched=("lr", "optimizer"),
        notices=("NOT CIFAR-10: drawn shapes",),
    )


@pytest.fixture
def build_trial() -> Callable[..., TrialRecord]:
    def build(number: int = 0, arm: str = "sgd", stage: str = "search", **parameters: Any) -> TrialRecord:
        settings = {"optimizer": arm, "lr": 0.001, "batch_size": 64, "flip": True, "data_dir": None, **parameters}
        name = f"{arm}-{number:03d}" if stage == "search" else f"{arm}-{stage}-{number:03d}"
        return TrialRecord(name, number, arm, stage, number, settings)

    return build


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    check_tracking(f"sqlite:///{path}", 120.0)
    return path


@pytest.fixture
def sqlite_uri(tmp_path: Path, empty_store: Path) -> str:
    return f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"


@pytest.fixture
def open_recorder(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Opens recorders on one journal; what is still open at the end is closed."""
    opened: list[Recorder] = []

    def open_one(uri: str, journal: Path | None = None) -> Recorder:
        root = None if uri.startswith("http") else tmp_path / "artifacts"
        recorder = Recorder(uri, journal or tmp_path / "sweep" / "journal.jsonl", artifact_root=root)
        opened.append(recorder)
        return recorder

    yield open_one
    for recorder in opened:
        recorder.close(0.0)


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """A new PostgreSQL server on a free port of 127.0.0.1, with a password."""
    folders = [*_ask_pg_config(), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]  # noqa: PTH207
    folder = next((Path(folder) for folder in folders if (Path(folder) / "initdb").exists()), None)
    if folder is None:
        pytest.skip("PostgreSQL's server programs are not installed (initdb was not found)")
    home = Path(tempfile.mkdtemp(prefix="sweeps-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            shutil.rmtree(home)
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(home, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    password_file, data, port = home / "password", home / "data", find_free_port()
    password_file.write_text(PASSWORD)
    password_file.chmod(0o644)

    def run(*command: str) -> None:
        done = subprocess.run([*as_user, *command], cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    initdb = [str(folder / "initdb"), "-D", str(data), "-U", "sweeps", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8"]
    pg_ctl = [str(folder / "pg_ctl"), "-D", str(data), "-w"]
    run(*initdb, "--pwfile", str(password_file))
    options = f"-h 127.0.0.1 -p {port} -k {home} -c fsync=off"
    run(*pg_ctl, "-l", str(home / "log"), "-o", options, "start")
    try:
        yield f"postgresql://sweeps:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        run(*pg_ctl, "-m", "immediate", "stop")
        shutil.rmtree(home)


def _ask_pg_config() -> list[str]:
    program = shutil.which("pg_config")
    if program is None:
        return []
    return [subprocess.run([program, "--bindir"], capture_output=True, text=True, check=True).stdout.strip()]


class MlflowServer:
    """An MLflow server on one port of 127.0.0.1 that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = find_free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.store_uri = f"sqlite:///{folder / 'server.db'}"
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--artifacts-destination", str(self._folder / "server-artifacts")]
        self._process = subprocess.Popen(
            command,
            cwd=self._folder,
            env={
                **os.environ,
                "MLFLOW_BACKEND_STORE_URI": self.store_uri,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "Application startup complete" in line:
                break
        else:
            pytest.fail("the MLflow server did not start:\n" + "".join(said))
        self._drain = threading.Thread(target=self._process.stdout.read)  # a full pipe would stop the server
        self._drain.start()

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._drain.join()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture
def mlflow_server(tmp_path: Path, empty_store: Path) -> Iterator[MlflowServer]:
    shutil.copy(empty_store, tmp_path / "server.db")
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()
