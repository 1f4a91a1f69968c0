"""What is made of a sweep that is over."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plain_table import plain_table, retraining, search_trial

from sweeps.driver.settling import _register, register_winner
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


@pytest.mark.parametrize(
    ("problem", "kept"), [("", {"sgd-confirm-000"}), ("no", {"sgd-confirm-000", "adam-confirm-001"})]
)
def test_an_arm_that_has_not_won_keeps_the_network_with_which_it_may_yet_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str, kept: set[str]
) -> None:
    """With more seeds the order of the arms may change; the network of best validation stands for its arm."""
    trials = []
    for arm, reached in (("sgd", (0.62, 0.6)), ("adam", (0.7, 0.72))):
        found = search_trial(arm, 0, 0.6, lr=0.1)
        again = [retraining(found, seed, value, value) for seed, value in enumerate(reached)]
        seen = [
            replace(each, history={"val_accuracy": ((1, value),)}) for each, value in zip(again, reached, strict=True)
        ]
        trials += [found, *seen]
    folder = Home(tmp_path).folder("s")
    for trial in trials:
        checkpoint = folder.ray / "trials-0000" / trial.trial_id / "checkpoint_000000"
        checkpoint.mkdir(parents=True)
        (checkpoint / "checkpoint.pt").write_text("")
    monkeypatch.setattr("sweeps.driver.settling._register", lambda *_: problem)
    monkeypatch.setattr("tracking.store.registry.is_registered", lambda *_: True)
    found_problem = register_winner(
        plain_table(*trials), lambda: pytest.fail("asked for images"), Home(tmp_path), folder
    )
    assert found_problem == problem
    assert {each for each in folder.trials_with_checkpoints() if "confirm" in each} == kept
