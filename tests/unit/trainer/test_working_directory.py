"""Files of the user's that are called as libraries are, beside a trial."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.working_directory import OWN_CODE_VARIABLE, ignore_working_directory, look_for_own_code

TRIAL = """
import os
import sys

from ray.tune import PlacementGroupFactory
from trainer.data.synthetic import draw_synthetic
from trainer.trainable import CifarTrainable, TrialRequest

sys.path.insert(0, os.getcwd())


class Trial(CifarTrainable):
    trial_resources = PlacementGroupFactory([{"CPU": 1}])

    def setup(self, config):
        super().setup(config, draw_synthetic(200, 40))


parameters = {"dataset": "synthetic", "optimizer": "own:Own", "lr": 0.1, "epochs": 1, "width": 0.25, "batch_size": 20}
request = TrialRequest("a-000", "a", "search", 0, False, parameters, ())
result = Trial(request.to_ray()).step()
assert result["epoch"] == 1, result
"""
OWN = """
import torch


class Own(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
"""


def test_a_trial_runs_the_users_optimizer_and_not_his_torch(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    for library in ("torch", "torchvision", "scipy", "optuna"):
        (tmp_path / f"{library}.py").write_text(f"open('ran', 'a').write({library!r})\n")
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRIAL],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_the_users_folders_are_looked_in_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), str(tmp_path / "link"), "/libraries"])
    ignore_working_directory()
    assert sys.path == ["/libraries"]
    monkeypatch.setenv(OWN_CODE_VARIABLE, os.pathsep.join(["/driver", "/libraries"]))
    look_for_own_code()
    look_for_own_code()
    assert sys.path == ["/libraries", "/driver", str(tmp_path)]
