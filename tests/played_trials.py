"""A sweep of any size whose trials are played through without Ray: Tune by a loop, training by a formula."""

import hashlib
import random
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sweeps.driver.callback import SweepCallback
from sweeps.driver.scheduler import ArmScheduler
from sweeps.driver.searcher import ArmSearcher
from sweeps.home import SweepFolder
from sweeps.running.build import build_sweep
from sweeps.running.error_log import keep_error
from sweeps.running.live import log_to
from sweeps.running.replay import DeafRecorder
from sweeps.running.sweep import RunningSweep
from sweeps.spec import load_spec
from sweeps.spec.arms import build_arms
from sweeps.trials.ledger import TrialEntry
from tracking.names import EPOCH_METRICS
from trainer.trainable import parse_trial

NUM_SLOTS, NUM_EPOCHS = 8, 9
SWEEP = """
name: growth
method: METHOD
compare: optimizer
budget: {trials_per_arm: TRIALS}
early_terminate: RULE
confirm: {top: 1, seeds: 5}
parameters:
  dataset: synthetic
  epochs: 9
  batch_size: {values: [32, 64, 128]}
  initializer: {values: [glorot_uniform, he_normal]}
  optimizer:
    choices:
      sgd: {lr: SPACE}
      momentum: {lr: SPACE}
      rmsprop: {lr: SPACE}
      adam: {lr: SPACE}
"""
SPACE = "{distribution: log_uniform_values, min: 1e-5, max: 1}"
GRID = "{values: [%s]}"
RULES = {
    "none": "null",
    "asha": "{type: asha, eta: 3}",
    "asha_promotion": "{type: asha_promotion, eta: 3}",
    "hyperband": "{type: hyperband, min_iter: 1, brackets: 3}",
    "median": "{type: median}",
}


class JournalAlone(DeafRecorder):
    """What the driver asks of a recorder, without one."""

    problem = None
    disk_problem = ""
    num_unwritten = pending = 0


def build_growing_sweep(folder: Path, method: str, rule: str, num_trials: int, text: str = SWEEP) -> RunningSweep:
    """A sweep of four arms that nothing has happened in; `num_trials` in all."""
    space = SPACE if method != "grid" else GRID % ", ".join(f"{1e-5 * (1 + n):g}" for n in range(num_trials // 24 + 1))
    text = text.replace("METHOD", method).replace("RULE", RULES[rule]).replace("SPACE", space)
    budget = "{}" if method == "grid" else f"{{trials_per_arm: {num_trials // 4}}}"
    file = folder / "sweep.yaml"
    file.write_text(text.replace("{trials_per_arm: TRIALS}", budget))
    sweep_folder = SweepFolder(folder / "growth")
    listeners = [keep_error, log_to(sweep_folder.driver_log)]
    recorder = cast("Any", JournalAlone())
    return build_sweep(load_spec(file), sweep_folder, recorder, listeners=listeners, slots=NUM_SLOTS)


def train(entry: TrialEntry, epoch: int) -> dict[str, Any]:
    """What an epoch of training would give."""
    luck = random.Random(f"{sorted(entry.parameters.items())}")
    score = luck.random() * epoch / NUM_EPOCHS
    metrics = dict.fromkeys(EPOCH_METRICS, 1.0) | {"val_accuracy": score, "best_val_accuracy": score, "epoch": epoch}
    if epoch < NUM_EPOCHS:
        return metrics | {"done": False}
    return metrics | {"done": True, "stop_reason": "epochs", "test_accuracy": score, "test_loss": 1.0}


class PlayedTune:
    """Tune's loop: each turn proposes until nothing more is to be had, then takes one result of the trial whose turn
    it is."""

    def __init__(self, sweep: RunningSweep) -> None:
        self.searcher = ArmSearcher(sweep, build_arms(sweep.spec))
        self.scheduler, self.callback, self.sweep = ArmScheduler(sweep), SweepCallback(sweep), sweep
        self.running: deque[Any] = deque()
        self.tuner = cast("Any", SimpleNamespace(_started_actors=set(), _trial_to_actor={}))
        self.num_asked = 0

    def propose(self) -> bool:
        """Starts the next trial; whether there was one."""
        config = self.searcher.suggest(str(self.num_asked))
        if not isinstance(config, dict):
            return False
        trial = SimpleNamespace(config=config, trial_id=str(self.num_asked), status="RUNNING")
        self.num_asked += 1
        self.callback.on_trial_start(0, [], cast("Any", trial))
        self.running.append(trial)
        return True

    def advance(self) -> None:
        """Gives one result to the trial that has waited longest."""
        trial = self.running.popleft()
        entry = self.sweep.ledger.entries[parse_trial(trial.config).trial_id]
        result = train(entry, entry.epoch + 1)
        self.callback.on_trial_result(0, [], trial, result)
        if not result["done"] and self.scheduler.on_trial_result(self.tuner, trial, result) != "STOP":
            self.running.append(trial)
        else:
            self.scheduler.on_trial_complete(self.tuner, trial, result)
            self.searcher.on_trial_complete(trial.trial_id, result)
            self.callback.on_trial_complete(0, [], trial)

    def run(self, num_trials: int | None = None) -> list[float]:
        """Plays the sweep to its end, or until so many trials were proposed; the processor time at each proposal."""
        stamps: list[float] = []
        while len(stamps) != num_trials:
            if self.propose():
                stamps.append(time.process_time())
            elif not self.running:
                break
            else:
                self.advance()
                self.callback.on_step_end(0, [])
        return stamps


def digest(sweep: RunningSweep) -> str:
    """Of everything that was run, in its order."""
    facts = [
        (each.trial_id, each.seed, sorted(each.parameters.items()), each.epoch, str(each.state), each.stop_reason)
        for each in sweep.ledger.entries.values()
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
