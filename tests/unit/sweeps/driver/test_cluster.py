"""A local Ray that does not start; how it does is in tests/cluster."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune.execution import class_cache

from sweeps.driver.cluster import start_ray, without_runtime_environment
from sweeps.errors import Unreachable


def test_a_local_ray_that_does_not_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        calls.append(options)
        if len(calls) == 1:
            raise Exception("The current node timed out during startup")  # noqa: TRY002  # as Ray does

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    assert start_ray(1) == {"CPU": 2.0}
    assert len(calls) == 2
    assert all(calls[0][name] == calls[1][name] for name in {*calls[0], *calls[1]} - {"job_config"})


def test_tune_sends_its_variables_to_a_ray_that_the_user_has_started_and_not_to_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = dict(class_cache.DEFAULT_ENV_VARS)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    monkeypatch.setattr(ray._private.worker, "_global_node", "ours")
    start_ray(1)
    with without_runtime_environment():
        assert ({}, frozenset()) == (class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE)
    assert known == class_cache.DEFAULT_ENV_VARS
    monkeypatch.setattr(ray._private.worker, "_global_node", "a notebook's")
    with without_runtime_environment():
        assert known == class_cache.DEFAULT_ENV_VARS
        assert "RAY_CHDIR_TO_TRIAL_DIR" in class_cache.ENV_VARS_TO_PROPAGATE


def test_a_local_ray_that_never_starts_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))  # Ray cannot make its folder in there
    with pytest.raises(Unreachable) as caught:
        start_ray(1)
    assert str(caught.value).startswith("a local Ray did not start, tried twice ([Errno 20] Not a directory: ")
    assert f"its logs are in {tmp_path}/file/ray/session_latest/logs; free memory, or set RAY" in str(caught.value)
    assert not ray.is_initialized()
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_cluster_that_is_away_is_said_in_a_line_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "method: random\nbudget: {trials: 2}\n"
        "parameters: {dataset: synthetic, train_size: 320, lr: {min: 0.1, max: 0.2}}\n"
    )
    environment = {"PATH": os.environ["PATH"], "SWEEPS_HOME": str(tmp_path / "results")}
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.cli", "run", str(tmp_path / "s.yaml")],
        env=environment | {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "RAY_ADDRESS": "127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "nothing answers there (Connection refused)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ("s: searches on synthetic: 2 trials by random of up to 10 epochs, then 1 retraining\n")
    assert list((tmp_path / "results").iterdir()) == [], "not even MLflow's database has been made"
