"""The process that Ray's workers are forks of: `server.py SOCKET DRIVER MODULE...`.

It imports the modules, which takes seconds, and then forks once for each connection to the listening socket whose file
descriptor is `SOCKET`. It ends when the process `DRIVER` does. Ray itself is not among the modules: its library reads
the environment while it is imported, and each worker has an environment of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import socket
import sys
import threading

_SECONDS = 0.5  # between two looks whether the driver still lives


def _serve(listener: socket.socket, driver: int) -> socket.socket:
    """Forks for each connection, and returns it in the fork; ends this process when the driver has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to wait for the forks
    listener.settimeout(_SECONDS)
    while os.getppid() == driver:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            return connection
        connection.close()
    shutil.rmtree(os.path.dirname(listener.getsockname()), ignore_errors=True)  # noqa: PTH120  # as nobody else will
    sys.exit()


def _become_worker(connection: socket.socket) -> str:
    """Takes over the arguments, environment, folder and streams of the process that asks; returns what it is to run."""
    os.setpgid(0, 0)  # Ray ends the process group of a worker with it
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(None)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as lines:
        order = json.loads(lines.readline())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv = order["arguments"]
    program: str = sys.argv[0]
    sys.path[0] = os.path.dirname(program)  # noqa: PTH120  # as Python does for a program
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else all forks would draw the same; Python seeds its own by itself
    connection.sendall(b"+")
    threading.Thread(target=_end_with, args=(connection,), name="fork-server", daemon=True).start()
    return program


def _end_with(connection: socket.socket) -> None:
    """Ends this process when the one that asked for it has ended."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    for _name in sys.argv[3:]:
        importlib.import_module(_name)
    gc.collect()
    gc.freeze()  # what is shared with the forks stays shared
    runpy.run_path(
        _become_worker(_serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))), run_name="__main__"
    )
