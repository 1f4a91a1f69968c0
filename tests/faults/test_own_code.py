"""Code of the user's that fails in whatever way, or changes its process: a result, once, and no other trial's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from checker import check_sweep
from small_sweep import IMAGES

from sweeps.driver.driver import run_sweep
from sweeps.errors import ExitCode
from sweeps.home import Home
from sweeps.spec import SweepSpec
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from tracking.store.queries import load_sweep
from tracking.table import TrialRow
from trainer.api import train
from trainer.config import build_trial_config
from trainer.data.load import load_dataset

pytestmark = [pytest.mark.cluster]

OWN = '''
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch


class Own(torch.optim.SGD):
    """Leaves a line for each process that it is made in, and does in its fourth step whatever it is called for."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.num_steps = 0
        with open(Path(__file__).with_name("made.txt"), "a") as file:
            file.write(type(self).__name__ + "\\n")

    def step(self, closure=None):
        self.num_steps += 1
        if self.num_steps == 4:
            self.act()
        return super().step(closure)

    def act(self):
        pass


class Saved(Own):
    def state_dict(self):
        raise RuntimeError("not to be saved")


class Exits(Own):
    def act(self):
        sys.exit("enough")


class Long(Own):
    def act(self):
        raise ValueError("\\n".join(f"line {number}" for number in range(5000)))


class Dies(Own):
    def act(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Leaves(Own):
    def act(self):
        print("much " * 200_000)
        threading.Thread(target=time.sleep, args=(100_000,)).start()
        os.chdir("/")
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(7)
        torch.manual_seed(1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.nn.functional.relu = torch.relu = torch.Tensor.relu = torch.nn.functional.softplus
        torch.nn.ReLU.forward = lambda self, inputs: torch.tanh(inputs)
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that has the user's module, in which the sweep is started."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.timeout(600)
def test_it_is_a_result_once_and_changes_no_other_trial(
    home: Home, build_spec: Callable[..., SweepSpec], own: Path
) -> None:
    names = ("Saved", "Exits", "Long", "Dies", "Leaves")
    arms = ", ".join(f"'own:{name}': {{lr: 0.05}}" for name in names)
    spec = build_spec(
        "method=grid",
        "budget={max_consecutive_failures: 100}",
        "early_terminate=null",
        f"parameters.optimizer={{choices: {{{arms}, sgd: {{lr: 0.05}}}}}}",
        "parameters.batch_size=32",
        "parameters.initializer=he_normal",
        "parameters.epochs=2",
        "parameters.precision=fp32",
    )
    outcome = run_sweep(spec, home)
    assert outcome.exit_code is ExitCode.SOME_TRIALS_FAILED
    table = load_sweep(outcome.sweep_id, home.tracking_uri)
    trials = {(trial.arm.removeprefix("own:"), trial.stage): trial for trial in table.trials}
    made = Counter((own / "made.txt").read_text().split())
    logs = {trial.trial_id: outcome.folder.trial_log(trial.trial_id) for trial in table.trials}

    def read_log(trial: TrialRow) -> str:
        assert trial.state is TrialState.FAILED
        return logs[trial.trial_id].read_text()

    assert trials["Saved", STAGE_SEARCH].state is TrialState.COMPLETED, "it is never saved"
    saved = trials["Saved", STAGE_CONFIRM]
    assert saved.stop_reason == "RuntimeError: not to be saved"
    assert "in state_dict" in read_log(saved)
    assert "test_accuracy" not in saved.summary
    assert made["Saved"] == 2, "an error is not tried again"

    assert trials["Exits", STAGE_SEARCH].stop_reason == "SystemExit: enough"
    assert "sys.exit" in read_log(trials["Exits", STAGE_SEARCH])
    long = trials["Long", STAGE_SEARCH]
    assert long.stop_reason.endswith("... (5,000 lines)")
    assert "line 2500\n" in read_log(long)
    assert made["Exits"] == made["Long"] == 1

    dies = trials["Dies", STAGE_SEARCH]
    assert dies.stop_reason.startswith("its process or node was lost 4 times, the last time: ")
    assert "Failure # 4" in read_log(dies)
    assert made["Dies"] == 4

    assert trials["Leaves", STAGE_CONFIRM].state is TrialState.COMPLETED
    for stage in (STAGE_SEARCH, STAGE_CONFIRM):
        assert_trained_as_alone(trials["sgd", stage])
    check_sweep(home, outcome.sweep_id)


def assert_trained_as_alone(trial: TrialRow) -> None:
    """Its curve is, to the bit, that of the same training in a process that has run nothing else."""
    config = build_trial_config(trial.parameters)
    epochs = list(train(config, load_dataset("imagefolder", str(IMAGES)), device="cpu", num_threads=1))
    assert [value for _, value in trial.history["val_loss"]] == [each.val_loss for each in epochs]
