"""What the job of a submitted sweep does on the head node.

The order comes in the environment: the arguments of the `sweeps` command, the files that it reads, and the versions of
whoever submitted.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from sweeps.environment import describe_versions
from sweeps.errors import ExitCode
from sweeps.remote.credentials import JOB_HAS_BEGUN, take_credentials

FILES = "{files}/"  # begins the argument that names a file sent along


def carry_out() -> None:
    """Carries out the order and ends with the exit code of the command."""
    order = json.loads(os.environ.pop("SWEEPS_ORDER"))
    ours = describe_versions()
    wrong = [
        f"{name} {ours[name]} here, {theirs} there"
        for name, theirs in order["versions"].items()
        if ours[name] != theirs
    ]
    if wrong:
        sys.stderr.write(
            f"the cluster is not as the machine that submitted: {', '.join(wrong)}; install requirements.lock on both\n"
        )
        sys.exit(ExitCode.BAD_USAGE)
    if missing := take_credentials(order["tracking"], os.environ, Path.home()):
        sys.stderr.write(f"{missing}\n")
        sys.exit(ExitCode.BAD_USAGE)
    sys.stdout.write(f"{JOB_HAS_BEGUN}\n")
    sys.stdout.flush()
    os.environ.setdefault("SWEEPS_HOME", str(Path.home() / "sweep-results"))  # the job's own folder is temporary
    folder = Path(tempfile.mkdtemp(prefix="sweep-"))
    for name, content in order["files"].items():
        (folder / name).write_text(content, encoding="utf-8")
    sys.argv = ["sweeps", *(_place(argument, folder) for argument in order["arguments"])]
    from sweeps.cli.app import main as run_command

    run_command()


def _place(argument: str, folder: Path) -> str:
    """An argument that names a file sent along, with the folder where that lies here; every other one as it is."""
    name = argument.removeprefix(FILES)
    return argument if name == argument else str(folder / name)
