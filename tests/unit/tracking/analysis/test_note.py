from __future__ import annotations

import json
from dataclasses import replace

from build_table import build_table

from tracking.analysis.note import build_note, build_verdict_tags


def test_the_note_begins_with_the_verdict_and_has_warnings_and_leaderboard() -> None:
    note = build_note(build_table(state="interrupted", notices=("NOT CIFAR-10: drawn *shapes*",)))
    lines = note.splitlines()
    assert lines[0].startswith("**No clear winner: 72.73 %")
    assert "- NOT CIFAR-10: drawn \\*shapes\\*" in lines
    assert any(line.startswith("- The sweep was interrupted") for line in lines)
    assert any(line.startswith("| rmsprop |") for line in lines)
    assert lines[-1] == "The whole report is `report.html` among the artifacts."


def test_tags_tell_verdict_and_warnings_apart() -> None:
    tags = build_verdict_tags(build_table(state="interrupted"))
    assert tags["sweep.headline"].startswith("No clear winner")
    assert "One seed per arm" in tags["sweep.verdict"]
    assert json.loads(tags["sweep.warnings"])[0].startswith("The sweep was interrupted")


def test_a_sweep_without_trials_has_a_note() -> None:
    assert build_note(replace(build_table(), trials=())).startswith("**No trial was recorded.**")
