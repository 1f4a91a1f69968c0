"""Real stores for tests: SQLite, a PostgreSQL server, and MLflow servers that can be stopped."""

from __future__ import annotations

import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import sqlalchemy
from faulty_proxy import FaultyProxy

from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder
from tracking.store.connection import check_tracking

PASSWORD = "s3cret-Pa55"
ADMIN_PASSWORD = "an-admin-s3cret-Pa55"
USERS = {"trainer": "a-trainer-s3cret-Pa55", "reader": "a-reader-s3cret-Pa55"}
AUTH_CONFIG = """[mlflow]
default_permission = READ
admin_username = admin
auth_cache_ttl_seconds = 60
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
database_uri = {store_uri}
"""
__all__ = [
    "auth_server",
    "build_trial",
    "empty_store",
    "mlflow_server",
    "open_recorder",
    "postgres",
    "postgres_uri",
    "proxy",
    "sqlite_uri",
    "store_uri",
    "sweep",
]


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
        manifest={
            "command": "sweeps run optimizers.yaml",
            "git_commit": "0f9c",
            "seed": 0,
            "data": {"name": "synthetic", "digest": 64 * "a", "num_classes": 10},
        },
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


class PostgresServer:
    """A new PostgreSQL server on a free port of 127.0.0.1, with a password; it can be stopped and started again."""

    def __init__(self, programs: Path) -> None:
        self.port = find_free_port()
        self.uri = f"postgresql://sweeps:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self._home = Path(tempfile.mkdtemp(prefix="sweeps-postgres-"))
        self._as_user = _drop_root(self._home)
        self._pg_ctl = [str(programs / "pg_ctl"), "-D", str(self._home / "data"), "-w"]
        password_file = self._home / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        initdb = [str(programs / "initdb"), "-D", str(self._home / "data"), "-U", "sweeps", "-A", "scram-sha-256"]
        self._run(*initdb, "--no-sync", "-E", "UTF8", "--pwfile", str(password_file))

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self._home} -c fsync=off"
        self._run(*self._pg_ctl, "-l", str(self._home / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run(*self._pg_ctl, "-m", "immediate", "stop")

    def create_database(self, name: str) -> str:
        """Makes an empty database and returns its URI."""
        engine = sqlalchemy.create_engine(self.uri, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"{self.uri.removesuffix('/postgres')}/{name}"

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._home)

    def _run(self, *command: str) -> None:
        done = subprocess.run([*self._as_user, *command], cwd=self._home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _drop_root(home: Path) -> list[str]:
    """What is put before a command so that it runs as the owner of `home`: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        shutil.rmtree(home)
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    os.chown(home, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    folders = [*_ask_pg_config(), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]  # noqa: PTH207
    folder = next((Path(folder) for folder in folders if (Path(folder) / "initdb").exists()), None)
    if folder is None:
        pytest.skip("PostgreSQL's server programs are not installed (initdb was not found)")
    server = PostgresServer(folder)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_uri(postgres: PostgresServer) -> str:
    return postgres.uri


def _ask_pg_config() -> list[str]:
    program = shutil.which("pg_config")
    if program is None:
        return []
    return [subprocess.run([program, "--bindir"], capture_output=True, text=True, check=True).stdout.strip()]


class MlflowServer:
    """An MLflow server on one port of 127.0.0.1 that can be stopped and started again.

    Args:
        folder: Where it keeps its files.
        store_uri: Its store; None for a SQLite file in there.
        port: None for a free one.
        app: What `--app-name` is to be: "" for a server that lets everybody in.
    """

    def __init__(self, folder: Path, store_uri: str | None = None, port: int | None = None, app: str = "") -> None:
        self.port = port or find_free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.store_uri = store_uri or f"sqlite:///{folder / 'server.db'}"
        self._folder = folder
        self._options = ["--app-name", app] if app else []
        self._environment: dict[str, str] = {}
        if app:
            config = folder / "auth.ini"
            config.write_text(AUTH_CONFIG.format(store_uri=self.store_uri))
            self._environment = {
                "MLFLOW_AUTH_CONFIG_PATH": str(config),
                "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN_PASSWORD,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-secret-of-the-tests-own",
            }
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--artifacts-destination", str(self._folder / "server-artifacts")]
        self._process = subprocess.Popen(
            [*command, *self._options],
            cwd=self._folder,
            env={
                **os.environ,
                "MLFLOW_BACKEND_STORE_URI": self.store_uri,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                **self._environment,
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
        self._wait_for_port()

    def _wait_for_port(self) -> None:
        """The server says that it has started a moment before it listens."""
        deadline = time.monotonic() + 30.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.stop()
                    pytest.fail("the MLflow server does not listen")
                time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Sends all its processes a signal."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGKILL)
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


@pytest.fixture(scope="session")
def auth_server(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[MlflowServer]:
    """An MLflow server on PostgreSQL that asks for a password, as docker/compose.yaml starts it."""
    folder = tmp_path_factory.mktemp("auth-server")
    store_uri = postgres.create_database("mlflow")
    upgrade = [sys.executable, "-m", "mlflow", "db", "upgrade", store_uri]
    done = subprocess.run(upgrade, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    server = MlflowServer(folder, store_uri, app="basic-auth")
    server.start()
    try:
        for name, password in USERS.items():
            add_user(server, name, password)
        yield server
    finally:
        server.stop()


def add_user(server: MlflowServer, name: str, password: str) -> None:
    """Lets somebody in, who may read everything and manage what they create."""
    _ask_as_admin(server, "POST", "users/create", {"username": name, "password": password})


def change_password(server: MlflowServer, name: str, password: str) -> None:
    _ask_as_admin(server, "PATCH", "users/update-password", {"username": name, "password": password})


def _ask_as_admin(server: MlflowServer, method: str, path: str, content: dict[str, str]) -> None:
    token = b64encode(f"admin:{ADMIN_PASSWORD}".encode()).decode()
    request = Request(
        f"{server.uri}/api/2.0/mlflow/{path}",
        json.dumps(content).encode(),
        {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        method=method,
    )
    with urlopen(request, timeout=30) as answer:
        assert answer.status == 200


THOROUGH_STORES = [
    "sqlite",
    pytest.param("server", marks=[pytest.mark.postgres, pytest.mark.thorough_fault]),
]  # for `store_uri`, where `make test` has no time for the second one


@pytest.fixture
def proxy(auth_server: MlflowServer) -> Iterator[FaultyProxy]:
    """Stands before the server of `store_uri`."""
    proxy = FaultyProxy(auth_server.port)
    yield proxy
    proxy.close()


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.postgres)])
def store_uri(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store: a SQLite file, or an MLflow server on PostgreSQL that asks for a password."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_uri"))
    server: MlflowServer = request.getfixturevalue("auth_server")
    engine = sqlalchemy.create_engine(server.store_uri)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("TRUNCATE experiments, registered_models CASCADE"))
    engine.dispose()
    log_in(monkeypatch, "trainer")
    return server.uri


def log_in(monkeypatch: pytest.MonkeyPatch, name: str, password: str | None = None) -> None:
    """Has MLflow's client say who it is."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", USERS[name] if password is None else password)
