"""What is refused before Ray starts."""

from pathlib import Path

import pytest
import ray

from sweeps.driver.driver import resume_sweep, run_sweep
from sweeps.driver.preflight import prepare
from sweeps.errors import BadUsage, Unreachable
from sweeps.home import Home
from sweeps.spec import SweepSpec, load_spec
from tracking.recording.journal import Journal

SWEEP = "s-20260101-000000-abcd"


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    file = tmp_path / "s.yaml"
    file.write_text(
        "name: s\nmethod: random\nbudget: {trials: 2}\n"
        "parameters: {dataset: synthetic, train_size: 320, lr: {min: 0.1, max: 0.2}}\n"
    )
    return load_spec(file, ())


def test_mlflow_away_is_said_before_ray_starts(
    spec: SweepSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="Connection refused"):
        prepare(spec, Home(tmp_path / "results"))
    assert not ray.is_initialized()


def test_a_sweep_that_is_refused_leaves_no_folder(
    spec: SweepSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    home = Home(tmp_path / "results")
    with pytest.raises(Unreachable):
        run_sweep(spec, home, sweep_id=SWEEP)
    assert list(home.path.iterdir()) == []


def test_a_results_folder_that_cannot_be_made_is_one_sentence(spec: SweepSpec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadUsage, match="results cannot be written"):
        run_sweep(spec, Home(tmp_path / "file" / "results"))


def test_a_sweep_that_ended_before_it_recorded_anything_is_to_be_started_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    Journal(home.folder(SWEEP).journal).close()
    with pytest.raises(BadUsage, match="ended before its first trial; start it again"):
        resume_sweep(SWEEP, home)
