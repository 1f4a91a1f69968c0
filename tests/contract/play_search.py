"""A small sweep whose trials are played through without Ray, for tests of methods and of the searcher."""

from pathlib import Path
from typing import Any, cast

from sweeps.driver.searcher import ArmSearcher
from sweeps.home import SweepFolder
from sweeps.running.replay import DeafRecorder
from sweeps.running.sweep import RunningSweep
from sweeps.search.methods import METHODS
from sweeps.spec import load_spec
from sweeps.spec.arms import build_arms, num_search_trials
from sweeps.stopping.rules import ArmRules
from sweeps.trials.ledger import Ledger, TrialPhase
from tracking.ranking import Goal
from trainer.trainable import TrialRequest, parse_trial

SWEEP = """
method: METHOD
compare: optimizer
budget: {trials_per_arm: 4}
confirm: {top: 1, seeds: 2}
seed: 5
parameters:
  dataset: synthetic
  epochs: 9
  batch_size: {values: [32, 64]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}, beta1: {min: 0.5, max: 0.99}}
"""


def build_searcher(
    tmp_path: Path, method: str = "random", slots: int = 2, text: str = SWEEP, known: Ledger | None = None
) -> ArmSearcher:
    file = tmp_path / "sweep.yaml"
    file.write_text(text.replace("METHOD", method))
    spec = load_spec(file)
    arms = build_arms(spec)
    names = tuple(arm.name for arm in arms)
    sweep = RunningSweep(
        sweep_id="s",
        spec=spec,
        ledger=known or Ledger(Goal(spec.metric.goal), names),
        rules=ArmRules(names, None, 9),
        recorder=cast("Any", DeafRecorder()),
        folder=SweepFolder(tmp_path / "s"),
        num_trials=num_search_trials(spec, arms),
        slots=slots,
    )
    return ArmSearcher(sweep, arms)


def ledger_of(searcher: ArmSearcher) -> Ledger:
    return searcher._sweep.ledger


def finish(searcher: ArmSearcher, ray_id: str, score: float, epochs: int = 9, **result: Any) -> None:
    """Plays a trial through: every epoch to the ledger, its end to the searcher."""
    trial_id = searcher._of_ray[ray_id].trial_id
    for epoch in range(1, epochs + 1):
        metrics = {"val_accuracy": score, "train_seconds": 2.0}
        ledger_of(searcher).record_epoch(trial_id, epoch, score, 3.0, metrics)
    searcher.on_trial_complete(ray_id, {"epoch": epochs, "val_accuracy": score, "stop_reason": "epochs", **result})


def tell_to_stop(searcher: ArmSearcher, ray_id: str) -> None:
    """As a rule would."""
    entry = searcher._of_ray[ray_id]
    entry.move_to(TrialPhase.RUNNING)
    entry.move_to(TrialPhase.STOPPING)
    entry.stop_reason = "asha: rank 3 of 3"


def play(searcher: ArmSearcher, score: float = 0.5) -> list[TrialRequest]:
    """Runs a whole sweep, one trial at a time."""
    requests: list[TrialRequest] = []
    while (config := searcher.suggest(ray_id := str(len(requests)))) != "FINISHED":
        assert isinstance(config, dict)
        requests.append(parse_trial(config))
        finish(searcher, ray_id, score + len(requests) / 1000)
    return requests


def adapt(method: str) -> str:
    """The sweep file, with a space that the method can search."""
    if method == "grid":
        return SWEEP.replace("{distribution: log_uniform_values, min: 1e-3, max: 1}", "{values: [1e-2, 1e-1]}").replace(
            "{distribution: log_uniform_values, min: 1e-5, max: 1e-1}, beta1: {min: 0.5, max: 0.99}",
            "{values: [1e-3, 1e-2]}",
        )
    if not METHODS[method].takes_categories:
        return SWEEP.replace("{values: [32, 64]}", "{min: 32, max: 64}")
    return SWEEP
