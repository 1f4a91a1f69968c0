"""Starts the process that Ray's workers are forks of, and has a Ray that is started here use it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeps.driver.forking import server, worker

END_SECONDS = 5.0  # that a server may take to end


class ForkServer:
    """A process that imports modules and is then forked for each worker of a local Ray.

    A worker of Ray imports Ray Tune and torch, which takes it 3 to 6 s; a fork of a process that has imported them
    takes 0.7 s. Workers wait for a server that still imports. Where it cannot run or has ended, Ray starts its workers
    as it always does. Only for Linux, where a process may fork after such imports.

    Args:
        modules: What to import; not Ray.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = self._socket = ""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
            self._folder = tempfile.mkdtemp(prefix="sweeps-fork-")  # which nobody else may enter
            self._socket = os.path.join(self._folder, "server")  # noqa: PTH118
            listener.bind(self._socket)  # a path may be too long for it
            listener.listen(128)
            number = listener.fileno()
            command = [sys.executable, str(Path(server.__file__).resolve()), str(number), str(os.getpid()), *modules]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[number],
                start_new_session=True,  # Ctrl+C and a closed terminal are the driver's
            )

    @contextmanager
    def used_by_ray(self) -> Iterator[None]:
        """Has a Ray that is started inside it take its workers from here. (Ray 2.60, _private/node.py)"""
        if self._process is None:
            yield
            return
        from ray._private import ray_constants

        original = ray_constants.SETUP_WORKER_FILENAME  # joined to a folder of Ray's, which an absolute path replaces
        ray_constants.SETUP_WORKER_FILENAME = str(Path(worker.__file__).resolve())
        os.environ[worker.SERVER_VARIABLE] = self._socket
        try:
            yield
        finally:
            ray_constants.SETUP_WORKER_FILENAME = original
            del os.environ[worker.SERVER_VARIABLE]

    def close(self) -> None:
        """Ends the process; its forks end with their Ray."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def can_fork() -> bool:
    """Whether workers can be forks here."""
    return sys.platform == "linux"
