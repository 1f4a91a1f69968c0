"""What libraries print, log and warn of: each way is tried, in a process whose output is read from a pipe."""

import subprocess
import sys
from pathlib import Path

NOISE = """
import logging, os, sys, warnings
early = logging.getLogger("early")
early.addHandler(logging.StreamHandler())
early.propagate = False

from pathlib import Path
from sweeps.library_output import keep_library_output, library_output_in_file, terminal_error

with library_output_in_file():
    os.write(2, b"C++\\n")
    logging.getLogger("urllib3").warning("retry http://me:hidden@host/")
    keep_library_output(Path(sys.argv[1]))
    own = logging.getLogger("own")
    own.addHandler(logging.StreamHandler())
    own.propagate = False
    own.error("handler")
    warnings.warn("deprecated", stacklevel=1)
    print("print", file=sys.stderr)
    os.system("echo child >&2")
    print("ours", file=terminal_error())
print("after", file=sys.stderr)
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)


def test_nothing_of_a_library_is_seen_and_all_of_it_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "libraries.log"
    done = run(NOISE, str(log))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == ["ours", "after"]
    kept = log.read_text()
    for text in ("C++", "urllib3: retry http://me:***@host/", "handler", "deprecated", "print", "child"):
        assert text in kept
    assert log.stat().st_mode & 0o077 == 0


def test_a_disk_that_is_full_is_no_reason_for_a_library_to_fail() -> None:
    done = run(NOISE, "/dev/full")
    assert (done.returncode, done.stderr.splitlines()) == (0, ["ours", "after"])


def test_secrets_of_the_environment_are_not_kept(tmp_path: Path) -> None:
    log = tmp_path / "libraries.log"
    program = "import os; os.environ['MLFLOW_TRACKING_PASSWORD'] = 'xyzzy'\n" + NOISE.replace("handler", "xyzzy")
    done = run(program, str(log))
    assert done.returncode == 0, done.stderr
    assert "***" in log.read_text()
    assert "xyzzy" not in log.read_text()
