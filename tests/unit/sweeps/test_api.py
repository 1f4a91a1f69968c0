"""Sweeps from Python, as far as they start no Ray; whole ones are in tests/cluster/test_notebook.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded import *  # noqa: F403  # the fixtures
from stores import *  # noqa: F403  # the fixtures

import sweeps
from sweeps.errors import BadUsage, SpecError
from sweeps.home import Home

SMALL = {
    "method": "random",
    "budget": {"trials": 2},
    "parameters": {"dataset": "synthetic", "lr": {"min": 0.1, "max": 1}},
}


def test_a_recorded_sweep_as_a_data_frame(recorded: Home) -> None:
    sweep = sweeps.load_sweep(results=recorded.path)
    trials, epochs = sweep.to_pandas(), sweep.to_pandas(epochs=True)
    assert len(trials) == len(sweep.table.trials)
    assert set(trials["arm"]) == {"sgd", "adam"}
    assert len(epochs) == sum(trial.num_epochs for trial in sweep.table.trials)
    by_name = {trial.trial_id: trial.parameters["lr"] for trial in sweep.table.trials}
    assert dict(zip(trials["trial"], trials["param.lr"], strict=True)) == by_name


def test_a_recorded_sweep_shows_its_verdict_and_leaderboard(recorded: Home) -> None:
    sweep = sweeps.load_sweep(results=recorded.path)
    assert list(sweep.leaderboard().index) == ["adam", "sgd"]
    page = sweep._repr_html_()
    assert sweep.sweep_id in page
    assert "not a verdict" in page
    assert "table=" not in repr(sweep)


def test_a_report_goes_where_it_is_wanted(recorded: Home, tmp_path: Path) -> None:
    sweep = sweeps.load_sweep(results=recorded.path)
    path = sweeps.write_report(sweep, tmp_path / "new" / "page.html")
    assert sweep.sweep_id in path.read_text()
    assert sweeps.write_report(sweep) == sweep.report == sweep.folder / "report.html"


def test_every_fault_of_a_dict_has_its_place() -> None:
    with pytest.raises(SpecError, match=r"parameters\.lr\.mim.*did you mean 'min'"):
        sweeps.run_sweep({"budget": {"trials": 2}, "parameters": {"lr": {"mim": 0.1, "max": 1}}})


@pytest.mark.parametrize(
    ("value", "place"),
    [(np.float64(0.1), r"sweep\.parameters\.lr"), ({1, 2}, r"sweep\.parameters\.lr"), ([0.1, object()], r"lr\[1\]")],
)
def test_what_no_file_could_say_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises(BadUsage, match=place):
        sweeps.run_sweep({**SMALL, "parameters": {"lr": value}})


def test_the_names_are_those_that_are_listed() -> None:
    assert all(hasattr(sweeps, name) for name in sweeps.__all__)
    with pytest.raises(AttributeError, match="frobnicate"):
        sweeps.frobnicate  # noqa: B018
