"""What is made of a sweep that is over."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.driver.settling import _register
from sweeps.home import Home
from trainer.config import build_trial_config
from trainer.data.synthetic import draw_synthetic
from trainer.loop.checkpoint import write_checkpoint
from trainer.loop.training_run import TrainingRun

OWN = """
import sys

import torch


class Leaving(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)

    def load_state_dict(self, state):
        sys.exit("not here")
"""


def test_own_code_that_leaves_while_the_winner_is_loaded_ends_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_leaving.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    data = draw_synthetic(100, 20)
    parameters = {
        "model": "fastcnn",
        "width": 0.25,
        "depth": 1,
        "dataset": "synthetic",
        "batch_size": 50,
        "epochs": 1,
        "optimizer": "own_leaving:Leaving",
        "precision": "fp32",
    }
    run = TrainingRun(build_trial_config(parameters), data, device="cpu", num_threads=1)
    run.run_epoch()
    home = Home(tmp_path)
    folder = home.folder("small-20261126-000000-0001")
    write_checkpoint(run, folder.ray / "trials-0000" / "own-confirm-00" / "checkpoint_000000")
    winner: Any = SimpleNamespace(trial_id="own-confirm-00", parameters=parameters)
    table: Any = SimpleNamespace()
    problem = _register(winner, table, lambda: data, home, folder)
    assert problem == "the winner, own-confirm-00, is not registered as a model: SystemExit: not here"
