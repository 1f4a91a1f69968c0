"""What a sweep has found, as its commands hand it on; the sweep is a recorded one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from forked import run_forked
from recorded import *  # noqa: F403  # the fixtures
from recorded import RESOLVED, build_small_table, record_in
from stores import *  # noqa: F403  # the fixtures

from sweeps.home import Home
from sweeps.spec import load_spec, load_spec_text
from sweeps.spec.winner import build_single_spec, format_comments
from tracking.names import TEST_ACCURACY, TrialState
from tracking.store.queries import load_sweep
from tracking.table import SweepTable
from trainer.config import build_trial_config


def sweeps(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sweeps.cli", *arguments]
    return run_forked(command, cwd=os.environ["SWEEPS_HOME"])


class TestBest:
    def test_it_is_a_sweep_file_of_the_configuration_that_leads(self, recorded: Home, tmp_path: Path) -> None:
        done = sweeps("best")
        assert done.returncode == 0, done.stderr
        (tmp_path / "best.yaml").write_text(done.stdout)
        spec = load_spec(tmp_path / "best.yaml")
        winner = next(each for each in build_small_table().trials if each.trial_id == "adam-confirm-000")
        assert {name: parameter.value for name, parameter in spec.parameters.items()} == winner.configuration
        assert (spec.method, spec.budget.trials, spec.seed, spec.confirm.seeds) == ("grid", 1, 7, 1)
        assert done.stdout.startswith("# The best settings of optimizers-20261124-031500-9f3a: those of trial adam-003")
        checked = sweeps("validate", str(tmp_path / "best.yaml"))
        assert "1 trials + 1 retrained; tunes nothing (1 configurations)" in checked.stdout

    def test_it_is_a_call_that_trains(self, recorded: Home, capsys: pytest.CaptureFixture[str]) -> None:
        done = sweeps("best", "--format", "python")
        assert done.returncode == 0, done.stderr
        short = done.stdout.replace("epochs=9", "epochs=1, progress=False")
        assert short != done.stdout
        names: dict[str, object] = {}
        exec(compile(short, "best.py", "exec"), names)
        winner = next(each for each in build_small_table().trials if each.trial_id == "adam-confirm-000")
        trained = names["trained"]
        assert trained.config == build_trial_config({**winner.parameters, "epochs": 1})  # type: ignore[attr-defined]
        assert capsys.readouterr().out.strip() == str(trained.test_accuracy)  # type: ignore[attr-defined]

    def test_as_json_it_has_the_recorded_numbers(self, recorded: Home) -> None:
        done = sweeps("best", "optimizers", "--format", "json")
        found = json.loads(done.stdout)
        winner = next(each for each in build_small_table().trials if each.trial_id == "adam-confirm-000")
        assert (found["trial"], found["found_by"], found["arm"]) == ("adam-confirm-000", "adam-003", "adam")
        assert found["parameters"] == winner.configuration
        assert found["test_accuracy"] == pytest.approx(winner.summary[TEST_ACCURACY])
        assert [each["seed"] for each in found["retrained"]] == [winner.seed]
        assert "One seed per arm" in found["remarks"][0]

    def test_of_a_sweep_without_success_it_is_an_error(self, recorded: Home) -> None:
        table = build_small_table(sweep_id="bad-20261124-031500-0000")
        failed = [each for each in table.trials if each.state is TrialState.FAILED]
        record_in(recorded, build_small_table(sweep_id=table.sweep_id, trials=tuple(failed)))
        done = sweeps("best", "bad")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"{table.sweep_id}: no trial of it has succeeded, so there are no best settings\n"

    def test_where_none_was_retrained_it_says_so(self, recorded: Home) -> None:
        table = build_small_table(sweep_id="short-20261124-031500-0000")
        record_in(recorded, build_small_table(sweep_id=table.sweep_id, trials=table.select()))
        done = sweeps("best", "short")
        assert done.returncode == 0, done.stderr
        assert "nothing is known of their test accuracy" in done.stdout

    def test_what_the_sweep_ran_as_has_to_be_there(self, recorded: Home) -> None:
        table = build_small_table(sweep_id="lost-20261124-031500-0000", project="lost")  # whose artifacts lie here
        record_in(recorded, build_small_table(sweep_id=table.sweep_id, project="lost", trials=table.ranking("sgd")[:1]))
        for file in recorded.path.glob("artifacts/**/resolved.yaml"):
            file.unlink()
        done = sweeps("best", "lost")
        assert (done.returncode, done.stdout) == (2, "")
        assert "resolved.yaml could not be read from MLflow's artifacts" in done.stderr


HOSTILE = "first\nlr: 3\n\x1b[31m: the second line\r\nimport os  # and \x00 more"


def test_nothing_in_a_remark_ends_its_comment() -> None:
    text = format_comments([HOSTILE, "x" * 300])
    assert all(line.startswith("# ") for line in text.splitlines())
    assert text.isprintable() or set(filter(lambda letter: not letter.isprintable(), text)) == {"\n"}


@pytest.mark.parametrize("top", [0, 1, 3])
def test_a_sweep_of_one_configuration_keeps_seeds_and_leaves_the_search_out(top: int) -> None:
    changes = (f"confirm={{top: {top}, seeds: 4}}", "budget.hours=1", "floor={after: 1, min: 0.1}")
    spec = load_spec_text(RESOLVED, "a test", changes)
    single = build_single_spec(spec, {"epochs": 30, "lr": 0.125, "seed": 99})
    assert (single.early_terminate, single.floor, single.budget.hours) == (None, None, None)
    assert (single.confirm.top, single.confirm.seeds, single.seed) == (min(top, 1), 4, 7)
    assert "seed" not in single.parameters


class TestExport:
    """Files read back hold what `load_sweep` reads from MLflow."""

    @pytest.fixture
    def table(self, recorded: Home) -> SweepTable:
        return load_sweep("optimizers-20261124-031500-9f3a", recorded.tracking_uri)

    @pytest.mark.parametrize("format_", ["csv", "parquet", "json"])
    def test_a_file_of_trials_has_what_the_table_has(self, table: SweepTable, tmp_path: Path, format_: str) -> None:
        file = tmp_path / f"trials.{format_}"
        done = sweeps("export", "optimizers", "--output", str(file))
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"14 trials of {table.sweep_id} are in {file}\n"
        rows = read_rows(file)
        assert [row["trial"] for row in rows] == [trial.trial_id for trial in table.trials]
        for row, trial in zip(rows, table.trials, strict=True):
            for name, value in trial.parameters.items():
                assert (row[f"param.{name}"] == value) or (value is None and is_missing(row[f"param.{name}"]))
            assert {name: row[f"metric.{name}"] for name in trial.summary} == trial.summary
            assert bool(row["is_retraining"]) is (trial.stage == "confirm")
            assert (row["state"], row["seed"]) == (trial.state, trial.seed)
        assert {row["retraining_of"] for row in rows if row["is_retraining"]} == {"sgd-003", "adam-003"}

    @pytest.mark.parametrize("format_", ["csv", "parquet", "json"])
    def test_a_file_of_epochs_has_what_the_table_has(self, table: SweepTable, tmp_path: Path, format_: str) -> None:
        file = tmp_path / "epochs"
        done = sweeps("export", "--epochs", "--format", format_, "-o", str(file))
        assert done.returncode == 0, done.stderr
        found: dict[object, dict[str, list[tuple[int, float]]]] = {}
        for row in read_rows(file, format_):
            for column, cell in row.items():
                if column.startswith("metric."):
                    points = found.setdefault(row["trial"], {}).setdefault(column.removeprefix("metric."), [])
                    points.append((row["epoch"], cell))
        expected = {
            trial.trial_id: {
                name: list(points) for name, points in trial.history.items() if not name.startswith(("best_", "test_"))
            }
            for trial in table.trials
            if trial.num_epochs
        }
        assert found == expected

    def test_without_a_file_it_is_csv_on_standard_output(self, table: SweepTable, tmp_path: Path) -> None:
        done = sweeps("export")
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / "trials.csv").write_text(done.stdout)
        assert len(read_rows(tmp_path / "trials.csv")) == len(table.trials)

    def test_what_cannot_be_written_is_said(self, recorded: Home, tmp_path: Path) -> None:
        done = sweeps("export", "--output", str(tmp_path / "absent" / "a.csv"))
        assert done.returncode == 2
        assert done.stderr.endswith("a.csv: cannot be written (No such file or directory); name another file\n")
        done = sweeps("export", "--format", "parquet")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "Parquet is not text: say where to, with --output FILE\n"

    def test_of_a_sweep_without_trials_it_is_an_error(self, recorded: Home) -> None:
        record_in(recorded, build_small_table(sweep_id="young-20261124-031500-0000", trials=()))
        done = sweeps("export", "young")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "young-20261124-031500-0000: no trial of it is recorded yet\n"


def read_rows(file: Path, format_: str = "") -> list[dict[str, Any]]:
    """The rows of an exported file, as pandas reads them."""
    kind = format_ or file.suffix.removeprefix(".")
    if kind == "json":
        return list(json.loads(file.read_text()))
    frame = pd.read_parquet(file) if kind == "parquet" else pd.read_csv(file)
    return list(frame.to_dict("records"))


def is_missing(cell: object) -> bool:
    return cell is None or cell != cell


class TestCompare:
    @pytest.fixture
    def two(self, recorded: Home) -> tuple[str, str]:
        """A sweep, and one of another length and seed."""
        table = build_small_table()
        other = RESOLVED.replace("epochs: 9", "epochs: 3").replace("seed: 7", "seed: 8")
        trials = [replace(each, parameters={**each.parameters, "epochs": 3}) for each in table.select()]
        shorter = build_small_table(sweep_id="short-20261124-031500-0000", sweep_file=other, trials=tuple(trials))
        record_in(recorded, shorter)
        return table.sweep_id, shorter.sweep_id

    def test_it_shows_differences_findings_and_why_not_to_compare(self, two: tuple[str, str]) -> None:
        done = sweeps("compare", "optimizers", "short")
        assert done.returncode == 0, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        assert ["differences", *two] in lines
        assert ["parameters.epochs", "9", "3"] in lines
        assert ["seed", "7", "8"] in lines
        assert ["leader", "adam", "adam"] in lines
        assert "These sweeps may not be compared:" in done.stdout
        assert f"They differ in length of training (epochs): 9 in {two[0]}; 3 in {two[1]}." in done.stdout

    def test_as_json_it_has_the_same(self, two: tuple[str, str]) -> None:
        found = json.loads(sweeps("compare", *two, "--json").stdout)
        assert found["comparable"] is False
        assert {"name": "seed", "values": ["7", "8"]} in found["differences"]
        assert [each["sweep_id"] for each in found["findings"]] == list(two)

    @pytest.mark.parametrize("names", [["optimizers"], ["optimizers", "optimizers-2026"]])
    def test_fewer_than_two_sweeps_are_an_error(self, recorded: Home, names: list[str]) -> None:
        done = sweeps("compare", *names)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("name two or more different sweeps; `sweeps list` shows them\n")


def test_a_report_as_markdown_lies_with_its_pictures_in_the_sweeps_folder(recorded: Home) -> None:
    folder = recorded.folder("optimizers-20261124-031500-9f3a")
    done = sweeps("report", "--format", "md")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"report: {folder.markdown_report}"
    text = folder.markdown_report.read_text()
    assert "**adam leads with 72.13 % test accuracy.**" in text
    assert (folder.path / "figures" / "confirmed.png").is_file()
    assert "(figures/confirmed.png)" in text
