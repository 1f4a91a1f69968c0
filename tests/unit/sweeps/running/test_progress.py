"""How a sweep stands that runs elsewhere: what is shown, and the events of it."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from forked import run_forked
from recorded import *  # noqa: F403  # the fixtures
from recorded import build_small_table
from rich.text import Text
from stores import *  # noqa: F403  # the fixtures

from sweeps.home import Home
from sweeps.running.progress import build_sparkline, list_best_so_far, list_changes, list_failures, render_progress
from sweeps.terminal import PlainConsole
from tracking.names import TrialState
from tracking.table import SweepTable


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0.5], "▁"), ([1, 1], "▁▁"), ([0, 1], "▁█"), (list(range(6)), "▁▂▄▅▇█"), (list(range(100)), None)],
)
def test_a_sparkline_goes_from_the_least_to_the_greatest(values: list[float], bars: str | None) -> None:
    shown = build_sparkline(values)
    assert len(shown) == min(len(values), 6)
    assert shown == bars or bars is None


def build_running() -> SweepTable:
    """A sweep in which one trial runs and three failed, two of them alike."""
    first, second, third, fourth, *others = build_small_table().trials
    failed = [
        replace(trial, state=TrialState.FAILED, stop_reason=reason)
        for trial, reason in ((second, "no room"), (third, "no room"), (fourth, "lost"))
    ]
    return build_small_table(trials=(replace(first, state=None, end_time=None), *failed, *others), state="running")


def test_the_best_so_far_never_gets_worse() -> None:
    table = build_small_table()
    for arm in table.arms:
        best = list_best_so_far(table, arm)
        assert best == sorted(best)
        assert len(best) > 1


def test_arms_running_trials_and_each_reason_once_fit_into_80_by_24() -> None:
    output = io.StringIO()
    PlainConsole(output, width=80, is_text=True).print(render_progress(build_running()))
    lines = output.getvalue().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = output.getvalue()
    assert "█" in text
    assert f"runs  {build_running().trials[0].trial_id}" in text
    assert [str(line) for line in list_failures(build_running())][:2] == ["failed 2 × no room", "failed 1 × lost"]
    assert isinstance(list_failures(build_running())[0], Text)


def test_events_are_what_is_new() -> None:
    before, after = build_running(), build_small_table()
    assert list(list_changes(after, after)) == []
    events = list(list_changes(before, after))
    assert [(each["event"], each.get("trial")) for each in events] == [
        ("ended", after.trials[0].trial_id),
        ("sweep", None),
    ]
    everything = list(list_changes(None, after))
    assert sum(each["event"] == "started" for each in everything) == len(after.trials)
    assert sum(each["event"] == "epoch" for each in everything) == sum(each.num_epochs for each in after.trials)


def test_an_ended_sweep_is_watched_at_once_as_lines_and_as_json(recorded: Home) -> None:
    def watch(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sweeps.cli", "watch", *arguments]
        return run_forked(command, cwd=os.environ["SWEEPS_HOME"])

    as_lines = watch()
    assert (as_lines.returncode, as_lines.stderr) == (0, "")
    assert as_lines.stdout.splitlines()[-1].endswith(": completed")
    assert len(as_lines.stdout.splitlines()) == len(build_small_table().trials) + 1
    events = [json.loads(line) for line in watch("--json").stdout.splitlines()]
    assert {each["event"] for each in events} == {"started", "epoch", "ended", "sweep"}
