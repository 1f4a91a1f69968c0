"""Runs a Python command as a process of its own, without the seconds in which it would import the libraries.

A server imports them once, draws the synthetic dataset, and is forked for each command (`multiprocessing.forkserver`).
The command has the arguments, environment, working directory, streams and import path that it would have, and ends with
its own exit code.
A test of what happens while a command starts, or of its streams, starts it as usual; so does one whose command starts
Ray or joins it, as Ray keeps the settings with which the server imported it.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import io
import multiprocessing
import os
import pkgutil
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver, reduction
from pathlib import Path
from typing import IO, Any, NoReturn

_HERE = str(Path(__file__).parent)
_PACKAGES = ("sweeps", "tracking", "trainer")
_LIBRARIES = (
    "alembic.autogenerate",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "mlflow.models",
    "mlflow.pytorch",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna",
    "scipy.stats",
    "torch._dynamo",
    "torch.utils.data",
    "torchvision.datasets",
)
_BEFORE = dict(os.environ)  # what no test has changed yet
_IS_SERVER = "SWEEPS_TESTS_FORK" in os.environ

if _IS_SERVER:  # all that any command may import
    from sweeps.driver.cluster import import_ray

    import_ray()
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true"}
    for name in _LIBRARIES:
        importlib.import_module(name)
    importlib.import_module("sqlalchemy.orm").configure_mappers()
    synthetic = importlib.import_module("trainer.data.synthetic")
    synthetic.draw_synthetic = functools.cache(synthetic.draw_synthetic)  # the same each time, and takes 2 s
    synthetic.draw_synthetic()

_FRESH_PATH = [place for place in sys.path[1:] if place != _HERE]


def run_forked(
    command: Sequence[str | Path],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a command as `subprocess.run` would, with nothing to read, and returns what it has printed.

    Args:
        command: `sys.executable`, and then `-m` and a module, `-c` and a program, or a file; and arguments.
        cwd: Its working directory; None for that of this process.
        env: Its environment; None for that of this process.
    """
    assert command[0] == sys.executable
    arguments = [str(each) for each in command[1:]]
    context = multiprocessing.get_context("forkserver")
    environment = dict(os.environ if env is None else env)
    with Path(os.devnull).open("rb") as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        streams = _Streams([stream.fileno() for stream in (stdin, stdout, stderr)])
        _start_server()
        process = context.Process(target=_run, args=(arguments, os.fspath(cwd or Path.cwd()), environment, streams))
        process.start()
        process.join()
        said = [_read(stream, _encoding(environment)) for stream in (stdout, stderr)]
    assert process.exitcode is not None
    return subprocess.CompletedProcess([sys.executable, *arguments], process.exitcode, *said)


def _read(stream: IO[bytes], encoding: str) -> str:
    stream.seek(0)
    return stream.read().decode(encoding)


def _encoding(environment: Mapping[str, str]) -> str:
    return environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]


class _Streams:
    """Open files that a forked process takes over as its own."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers

    def __getstate__(self) -> list[Any]:
        return [reduction.DupFd(number) for number in self._numbers]

    def __setstate__(self, state: list[Any]) -> None:
        self._numbers = [each.detach() for each in state]

    def take_over(self) -> None:
        for number, stream in enumerate(self._numbers):
            os.dup2(stream, number)
            os.close(stream)
        encoding = _encoding(os.environ)
        sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), encoding)  # noqa: SIM115
        sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), encoding, "backslashreplace", line_buffering=True)  # noqa: SIM115


def _start_server() -> None:
    """Starts the server where none runs, in the environment that this process was started with."""
    now = dict(os.environ)
    path = os.pathsep.join(filter(None, [_HERE, _BEFORE.get("PYTHONPATH")]))
    try:
        os.environ.clear()
        os.environ.update(_BEFORE, SWEEPS_TESTS_FORK="1", PYTHONPATH=path)
        forkserver.set_forkserver_preload(["forked"])
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(now)


def _run(arguments: list[str], cwd: str, environment: dict[str, str], streams: _Streams) -> NoReturn:
    """Is the command, from its first line to its exit code."""
    code = 1
    try:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        streams.take_over()
        code = _to_code(_start(arguments, cwd))
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001  # as Python itself would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _start(arguments: list[str], cwd: str) -> Any:
    """Runs a command as Python would from its beginning; what it exits with."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    server = [_HERE, *_BEFORE.get("PYTHONPATH", "").split(os.pathsep)]
    path = [*filter(None, known), *(place for place in _FRESH_PATH if place not in server)]
    try:
        match arguments:
            case ["-m", module, *rest]:
                sys.path, sys.argv = [cwd, *path], [module, *rest]
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case ["-c", program, *rest]:
                sys.path, sys.argv = ["", *path], ["-c", *rest]
                exec(compile(program, "<string>", "exec"), sys.modules["__main__"].__dict__)
            case [file, *rest]:
                sys.path, sys.argv = [str(Path(file).resolve().parent), *path], [file, *rest]
                runpy.run_path(file, run_name="__main__")
    except SystemExit as ended:
        return ended.code
    return 0


def _to_code(said: Any) -> int:
    if said is None or isinstance(said, int):
        return said or 0
    sys.stderr.write(f"{said}\n")
    return 1
