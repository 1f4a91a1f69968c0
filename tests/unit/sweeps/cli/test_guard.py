"""How a command ends: by a sentence, whatever happens to it or to its output."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.errors import ExitCode

# `list`, whose answer is an error, or a signal that its own process gets.
COMMAND = """
import os, signal, sys
import tracking.store.queries as queries
from sweeps.home import Home

def answer(*arguments):
    {what}
    return ()

queries.list_sweeps = answer
Home.has_tracking = property(lambda home: True)
sys.argv = ["sweeps", *sys.argv[1:]]
from sweeps.cli.__main__ import main
main()
"""


def run(what: str, *arguments: str, home: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND.format(what=what), *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "SWEEPS_HOME": str(home), **options.pop("env", {})}
    streams.pop("env", None)
    return subprocess.run(command, text=True, check=False, env=environment, **streams)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_with_a_word_and_130(number: signal.Signals, tmp_path: Path) -> None:
    done = run(f"os.kill(os.getpid(), {int(number)})", "list", home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "interrupted\n")


def test_a_command_that_is_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    program = f"signal.signal(signal.SIGHUP, signal.SIG_IGN); {COMMAND.format(what='os.kill(os.getpid(), 1)')}"
    program = f"import signal; {program.lstrip()}"
    done = subprocess.run(
        [sys.executable, "-c", program, "list"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SWEEPS_HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_that_nobody_foresaw_is_a_sentence_and_its_traceback_is_in_the_file_that_it_names(
    tmp_path: Path,
) -> None:
    done = run("sys.stderr.write('before\\n'); raise EOFError('what?\\nmore')", "list", "--limit", "3", home=tmp_path)
    assert (done.returncode, done.stdout) == (ExitCode.NOTHING_SUCCEEDED, "")
    (line,) = done.stderr.splitlines()
    found = re.fullmatch(
        r"EOFError: what\? \(an error that was not foreseen; its traceback is in (.*), and shown by "
        r"`sweeps --debug list --limit 3`\)",
        line,
    )
    assert found is not None, line
    kept = Path(found[1]).read_text()
    assert kept.startswith("before\n")
    assert kept.endswith("EOFError: what?\nmore\n")
    assert Path(found[1]).is_relative_to(tmp_path)


def test_debug_shows_the_traceback_and_what_libraries_print(tmp_path: Path) -> None:
    done = run("sys.stderr.write('before\\n'); raise EOFError('what?')", "--debug", "list", home=tmp_path)
    assert done.returncode == ExitCode.NOTHING_SUCCEEDED
    assert done.stderr.startswith("before\nTraceback")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("list",), ("schema",), ("--help",)])
def test_standard_output_that_is_full_is_said(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("pass", *arguments, home=tmp_path, stdout=full)
    assert done.returncode == ExitCode.NOTHING_SUCCEEDED
    assert done.stderr == "standard output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("arguments", [("list",), ("schema",)])
def test_nobody_reads_standard_output_any_more(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run("pass", *arguments, home=tmp_path, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_streams_that_are_closed_are_not_given_to_files(tmp_path: Path) -> None:
    program = COMMAND.format(what="assert os.open('/dev/null', os.O_RDONLY) > 2")
    shell = ["sh", "-c", 'exec "$0" -c "$1" list <&- >&- 2>&-', sys.executable, program]
    assert subprocess.run(shell, check=False, env={**os.environ, "SWEEPS_HOME": str(tmp_path)}).returncode == 0


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "???? ?"), ("cp1252", "???? é"), ("utf-8", "実験 é")])
def test_what_an_encoding_lacks_is_replaced(encoding: str, shown: str, tmp_path: Path) -> None:
    row = "queries.SweepSummary('s-1', 'n', '実験 é', 'completed', __import__('datetime').datetime(2026, 1, 1), None)"
    done = run(f"return ({row},)", "list", home=tmp_path, env={"PYTHONIOENCODING": encoding}, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert f"s-1    {shown}" in done.stdout


def test_a_file_of_the_results_that_cannot_be_had_is_no_unforeseen_error(tmp_path: Path) -> None:
    done = run(f"open({str(tmp_path)!r}, 'w')", "list", home=tmp_path)
    assert done.returncode == ExitCode.BAD_USAGE
    assert done.stderr.startswith(f"{tmp_path}: Is a directory; results go to {tmp_path}: set SWEEPS_HOME")


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_a_narrow_terminal_cuts_no_id_and_hides_no_start(columns: str, tmp_path: Path) -> None:
    id_ = "a-long-name-of-a-sweep-20261124-031500-9f3a"
    started = "__import__('datetime').datetime(2026, 1, 1, 12, tzinfo=__import__('datetime').UTC)"
    row = f"queries.SweepSummary({id_!r}, 'n', 'p', 'completed', {started}, None)"
    environment = {"COLUMNS": columns, "FORCE_COLOR": "1", "TZ": "Europe/Berlin"}
    done = run(f"return ({row},)", "list", home=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert id_ in done.stdout
    assert "completed  2026-01-01 13:00 CET" in done.stdout
