"""Names of users that are markup, quotes or paths elsewhere, through the real commands and a real store."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forked import run_forked
from mlflow import MlflowClient
from stores import THOROUGH_STORES

from sweeps.trials.naming import name_arms, search_id
from tracking import names
from tracking.names import TrialState
from tracking.recording.events import SweepRecord, TrialRecord
from tracking.recording.recorder import Recorder
from tracking.store.queries import SweepNotFound, find_parent, load_sweep
from tracking.store.registry import WinnerModel, model_name, register_winner

PROJECTS = [
    "my [/project]",
    "[bold]it's[/bold]",
    'a "quoted" it\'s 100% \\ | `x`',
    "../..",
    ".",
    "my/project",
    "my:project",
    "実験 🎉",
    "x" * 199 + "é",
]
SECONDS = 60.0

pytestmark = pytest.mark.parametrize("store_uri", THOROUGH_STORES, indirect=True)


@pytest.fixture
def uri(
    open_recorder: Callable[..., Recorder],
    store_uri: str,
    sweep: SweepRecord,
    build_trial: Callable[..., TrialRecord],
    tmp_path: Path,
) -> str:
    """A store with a sweep of each project, whose arm has the project's name."""
    for number, project in enumerate(PROJECTS):
        recorder = open_recorder(store_uri, tmp_path / "home" / f"s-{number}" / "journal.jsonl")
        record = replace(sweep, sweep_id=f"s-{number}", project=project, arms=(project,), notices=(f"see {project}",))
        recorder.start_sweep(record)
        trial = replace(build_trial(), arm=project)
        recorder.start_trial(trial)
        recorder.record_epoch(trial.trial_id, 1, {"val_accuracy": 0.5})
        recorder.end_trial(trial.trial_id, TrialState.COMPLETED, f"because {project}", {"best_val_accuracy": 0.5})
        recorder.end_sweep("completed", "", ())
        assert recorder.close(SECONDS)
    return store_uri


def sweeps(uri: str, home: Path, *arguments: str, **environment: str) -> str:
    """What a command prints, in a terminal as wide as need be."""
    done = run_forked(
        [sys.executable, "-m", "sweeps.cli", *arguments],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, "SWEEPS_HOME": str(home), "COLUMNS": "400", **environment},
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return done.stdout


def test_commands_show_every_name_as_it_is(uri: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    listed = sweeps(uri, home, "list")
    for number, project in enumerate(PROJECTS[:-1]):
        assert any(line.split()[0] == f"s-{number}" and f" {project} " in line for line in listed.splitlines()), project
    for number in (0, 1, 2):
        status = sweeps(uri, home, "status", f"s-{number}")
        assert f"({PROJECTS[number]})" in status
        assert status.splitlines()[-1].startswith(PROJECTS[number])
    assert PROJECTS[0] in sweeps(uri, home, "report", "s-0")


def test_what_a_terminal_cannot_encode_is_replaced(uri: str, tmp_path: Path) -> None:
    listed = sweeps(uri, tmp_path / "home", "list", PYTHONIOENCODING="ascii", LANG="C")
    assert "???? ??" in listed


def build_winner() -> WinnerModel:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)).eval()
    example = np.zeros((2, 1, 2, 2), np.float32)
    tags: dict[str, Any] = {"trial.id": "sgd-000"}
    return WinnerModel(network, example, {"classes": ["a", "b"]}, tags)


def test_the_winner_of_each_project_is_registered_once_under_a_name_of_its_own(uri: str) -> None:
    chosen = [1, 2, 3, 5, 6]
    for number in (*chosen, *chosen[:2]):  # twice, as by a resume after the end
        assert register_winner(uri, PROJECTS[number], f"s-{number}", build_winner()) == ""
    models = {model.name: model for model in MlflowClient(uri).search_registered_models()}
    assert set(models) == {model_name(PROJECTS[number]) for number in chosen}
    assert len(models) == len(chosen)
    versions = MlflowClient(uri).search_model_versions()
    assert sorted(version.tags["sweep.id"] for version in versions) == [f"s-{number}" for number in chosen]


def test_quotes_find_no_sweep(uri: str) -> None:
    for sweep_id in ("s-0' OR tags.`x` = '", "it's", "../s-0", "%", "s" * 10_000, "s-0\n", ""):
        with pytest.raises(LookupError, match="no such sweep"):
            load_sweep(sweep_id, uri)


@pytest.mark.parametrize("name", [names.SWEEP_ARMS, names.SWEEP_SEARCHED, names.SWEEP_NOTICES])
@pytest.mark.parametrize("text", ["", "{", "3", "[" * 8000, '{"a": 1}'])
def test_a_tag_that_somebody_has_changed_is_said(uri: str, name: str, text: str) -> None:
    client = MlflowClient(uri)
    client.set_tag(find_parent(client, "s-0").info.run_id, name, text)
    with pytest.raises(SweepNotFound, match=f"s-0: the tag {name} of its run was changed in MLflow"):
        load_sweep("s-0", uri)


def test_arms_that_are_commands_or_paths_reach_neither_the_terminal_nor_the_disk(
    open_recorder: Callable[..., Recorder],
    store_uri: str,
    sweep: SweepRecord,
    build_trial: Callable[..., TrialRecord],
    tmp_path: Path,
) -> None:
    arms = (
        "../../x",
        "/etc/x",
        "..",
        "a\nb",
        "\x1b]0;t\x07\x1b[2J",
        "\u202egnp",
        "\u200f",
        "<script>x</script>",
        "C:\\x",
        "~",
    )
    home = tmp_path / "home"
    recorder = open_recorder(store_uri, home / "s" / "journal.jsonl")
    recorder.start_sweep(replace(sweep, sweep_id="s", arms=arms))
    for arm, prefix in name_arms(arms).items():
        trial = replace(build_trial(), arm=arm, trial_id=search_id(prefix, 0))
        recorder.start_trial(trial)
        recorder.record_epoch(trial.trial_id, 1, {"val_accuracy": 0.5})
        recorder.end_trial(trial.trial_id, TrialState.COMPLETED, f"because {arm}", {"best_val_accuracy": 0.5})
    recorder.end_sweep("completed", "", ())
    assert recorder.close(SECONDS)
    for command in (("status", "s"), ("report", "s"), ("list",)):
        shown = sweeps(store_uri, home, *command)
        assert all(letter.isprintable() or letter == "\n" for letter in shown), command
    table = load_sweep("s", store_uri)
    assert table.arms == arms
    assert [trial.arm for trial in table.trials] == list(arms)
    assert len({trial.trial_id for trial in table.trials}) == len(arms)
    page = (home / "s" / "report.html").read_text()
    assert "<script>x" not in page
    found = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert found == {"home"} | {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in (home / "s").iterdir()} <= {
        *("journal.jsonl", "journal.jsonl.delivered", "report.html", "trials.csv", "logs")
    }
