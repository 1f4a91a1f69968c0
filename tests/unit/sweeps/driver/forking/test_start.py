"""A worker that is a fork, without Ray: a program in the place of Ray's says what it is given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sweeps.driver.forking import start, worker
from sweeps.driver.forking.start import ForkServer

pytestmark = pytest.mark.skipif(not start.can_fork(), reason="only Linux may fork after such imports")

# In the place of Ray's programs: the one that is a worker, and the one that starts it.
WORKER = """
import json, os, random, sys
import numpy
print(json.dumps({
    "arguments": sys.argv, "folder": os.getcwd(), "variable": os.environ.get("OF_THE_WORKER"), "path": sys.path[0],
    "modules": [name for name in ("wave", "sweeps", "ray", "torch") if name in sys.modules], "name": __name__,
    "group": os.getpgid(0), "pid": os.getpid(), "parent": os.getppid(), "server": os.environ.get("OF_THE_SERVER"),
    "drawn": [random.random(), numpy.random.rand()],
}), flush=True)
sys.stderr.write("heard\\n")
sys.stdin.read()
"""
STARTER = "import sys; print('started by Ray itself', sys.argv[1:])"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder of the worker's program."""
    folder = tmp_path / "workers"
    folder.mkdir()
    (folder / "default_worker.py").write_text(WORKER)
    (folder / "setup_worker.py").write_text(STARTER)
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A server that has imported a module which no worker imports by itself."""
    monkeypatch.setenv("OF_THE_SERVER", "yes")
    server = ForkServer(["wave", "numpy"])
    monkeypatch.delenv("OF_THE_SERVER")
    yield server
    server.close()


@pytest.fixture
def ask(programs: Path, server: ForkServer, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a worker as Ray does."""
    asked: list[subprocess.Popen[str]] = []

    def ask(context: object = {}, language: str = "PYTHON") -> subprocess.Popen[str]:
        with server.used_by_ray():
            environment = {**os.environ, "OF_THE_WORKER": "ä"}
        process = subprocess.Popen(
            [
                *(sys.executable, worker.__file__, f"--serialized-runtime-env-context={json.dumps(context)}"),
                *(f"--language={language}", str(programs / "default_worker.py"), "--node-ip-address=x", "--webui="),
            ],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        asked.append(process)
        return process

    yield ask
    for process in asked:
        process.kill()
        process.communicate()


def hear(process: subprocess.Popen[str]) -> dict[str, object]:
    """What the worker says of itself."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("{"), line
    said: dict[str, object] = json.loads(line)
    return said


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)


def test_a_worker_is_a_fork_with_all_that_ray_gives_it(
    ask: Callable[..., subprocess.Popen[str]], programs: Path, tmp_path: Path
) -> None:
    process = ask()
    said = hear(process)
    program = str(programs / "default_worker.py")
    assert said["arguments"] == [program, "--node-ip-address=x", "--webui="]
    assert (said["folder"], said["path"], said["name"]) == (str(tmp_path), str(programs), "__main__")
    assert (said["variable"], said["server"]) == ("ä", None)
    assert said["modules"] == ["wave"]
    assert said["pid"] == said["group"] != process.pid
    out, err = process.communicate("")
    assert (out, err) == ("", "heard\n")
    wait_until_gone(int(str(said["pid"])))


def test_workers_draw_different_numbers(ask: Callable[..., subprocess.Popen[str]]) -> None:
    first, second = hear(ask()), hear(ask())
    assert first["parent"] == second["parent"]
    for one, other in zip(first["drawn"], second["drawn"], strict=True):  # type: ignore[call-overload]
        assert one != other


def test_a_worker_ends_when_what_ray_has_started_ends(ask: Callable[..., subprocess.Popen[str]]) -> None:
    process = ask()
    said = hear(process)
    process.kill()
    wait_until_gone(int(str(said["pid"])))


def test_what_ray_has_started_ends_when_the_worker_does(ask: Callable[..., subprocess.Popen[str]]) -> None:
    process = ask()
    os.killpg(int(str(hear(process)["pid"])), signal.SIGKILL)  # the worker's whole group, as Ray does
    assert process.wait(10) == 0
    assert hear(ask())["modules"] == ["wave"]  # the server is not in it


@pytest.mark.parametrize(
    ("context", "language"),
    [
        ({"env_vars": {"A": "1"}}, "PYTHON"),
        ({"command_prefix": ["nice"]}, "PYTHON"),
        ({"override_worker_entrypoint": "/other.py"}, "PYTHON"),
        ({"py_executable": "/other/python"}, "PYTHON"),
        ({}, "JAVA"),
    ],
)
def test_a_worker_with_an_environment_of_its_own_is_started_by_ray(
    ask: Callable[..., subprocess.Popen[str]], context: object, language: str
) -> None:
    out, _ = ask(context, language).communicate(timeout=20)
    assert out.startswith("started by Ray itself ['--serialized-runtime-env-context=")
    assert "--node-ip-address=x" in out


def test_without_a_server_a_worker_is_started_by_ray(
    ask: Callable[..., subprocess.Popen[str]], server: ForkServer
) -> None:
    hear(ask())
    server.close()
    assert server._process is not None
    assert not psutil.pid_exists(server._process.pid)
    assert not Path(server._folder).exists()
    out, _ = ask().communicate(timeout=20)
    assert out.startswith("started by Ray itself")


def test_where_the_working_directory_is_gone_a_worker_is_started_by_ray(
    programs: Path, server: ForkServer, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"rmdir {gone}; exec {sys.executable} {worker.__file__} {programs / 'default_worker.py'}"
    with server.used_by_ray():
        done = subprocess.run(["sh", "-c", command], cwd=gone, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("started by Ray itself")


def test_a_server_that_cannot_import_leaves_workers_to_ray(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ForkServer(["no_such_module"])
    try:
        with server.used_by_ray():
            done = subprocess.run(
                [sys.executable, worker.__file__, str(programs / "default_worker.py")],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
        assert done.stdout.startswith("started by Ray itself")
    finally:
        server.close()


@pytest.mark.parametrize("is_there", [True, False])
def test_where_no_socket_can_be_made_ray_starts_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    long = tmp_path / ("long" * 30)
    if is_there:
        long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    from ray._private import ray_constants

    server = ForkServer(["wave"])
    with server.used_by_ray():
        assert ray_constants.SETUP_WORKER_FILENAME == "setup_worker.py"
        assert worker.SERVER_VARIABLE not in os.environ
    server.close()
    assert not any(long.glob("*"))


def test_a_server_ends_with_its_driver() -> None:
    program = "import os; from sweeps.driver.forking.start import ForkServer as F; s = F(['wave'])\n"
    program += "print(s._process.pid, s._folder, flush=True); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until_gone(int(done.stdout.split()[0]))
    assert not Path(done.stdout.split()[1]).exists()
