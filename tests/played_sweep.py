"""A small sweep that is recorded without Ray: Tune is played by a loop, and training by a formula."""

from __future__ import annotations

import json
import math
import random
import zlib
from types import SimpleNamespace
from typing import Any, cast

from sweeps.driver.callback import SweepCallback
from sweeps.driver.history import describe_confirmation
from sweeps.driver.outcome import SweepOutcome, finish
from sweeps.driver.scheduler import ArmScheduler
from sweeps.driver.searcher import ArmSearcher
from sweeps.home import Home
from sweeps.running.build import build_sweep
from sweeps.running.error_log import keep_error
from sweeps.running.repair import open_journal
from sweeps.running.replay import replay
from sweeps.running.sweep import RunningSweep
from sweeps.space.arms import searched
from sweeps.spec import load_spec
from sweeps.spec.arms import build_arms
from tracking import names
from tracking.analysis.leaderboard import find_winner
from tracking.names import EPOCH_METRICS, STAGE_SEARCH
from tracking.recording.events import SweepRecord
from tracking.recording.recorder import Recorder
from tracking.store.connection import open_client
from tracking.store.queries import find_parent, load_sweep
from trainer.trainable import TrialRequest, parse_trial

SWEEP_ID = "tiny-20261126-000000-0001"
NUM_EPOCHS = 3
DIVERGING = "adam-003"  # in its first epoch
SWEEP = """
name: tiny
project: shapes
method: random
compare: optimizer
budget: {trials_per_arm: 4}
early_terminate: {type: RULE}
parameters:
  dataset: synthetic
  epochs: 3
  batch_size: {values: [32, 64]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}}
      adam: {lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}}
"""
CONFIRM = "confirm: {top: 1, seeds: 2}\n"
CONFIRMS = {
    "raced": "confirm: {top: 1, seeds: 6, select: {top: 2, seeds: 2}, defaults: true, race: true}\n",
}
RULES = {
    "raced": "asha, eta: 2",
    "asha": "asha, eta: 2",
    "asha_promotion": "asha_promotion, eta: 2",
    "pbt": "pbt, interval: 1",
}


def train(request: TrialRequest, epoch: int) -> dict[str, Any]:
    """What an epoch of training would give: a curve that follows from the settings; one trial fails, one diverges."""
    luck = random.Random(zlib.crc32(json.dumps(dict(request.parameters), sort_keys=True).encode()))
    if request.trial_id == "sgd-003":
        error = {"failure": "ValueError: no", "error": "Traceback\nValueError: no"}
        return {"epoch": epoch - 1, "stop_reason": "failed", "done": True, **error}
    score = luck.random() * epoch / NUM_EPOCHS
    if "flip" in request.parameters and request.stage != STAGE_SEARCH:  # in the sweep with a race, one arm is better
        score = (0.6 if request.arm == "adam" else 0.3) + score / 100
    best = {"best_val_accuracy": score, "best_epoch": epoch}
    metrics = dict.fromkeys(EPOCH_METRICS, 1.0) | {"val_accuracy": score} | best
    if request.trial_id == DIVERGING:
        return metrics | {"epoch": epoch, "train_loss": math.nan, "stop_reason": "diverged", "done": True}
    if epoch < NUM_EPOCHS:
        return metrics | {"epoch": epoch, "done": False}
    test = {"test_accuracy": score - 0.01, "test_loss": 1.0} if request.read_test else {}
    return metrics | test | {"epoch": epoch, "stop_reason": "epochs", "done": True}


def _last_epoch(trial_id: str) -> int:
    """The epoch that a trial ends with by itself, of which there is no checkpoint."""
    return 1 if trial_id == DIVERGING else NUM_EPOCHS


def play(sweep: RunningSweep, searcher: ArmSearcher) -> None:
    """Runs one trial after another, as Tune would with one slot."""
    scheduler, callback = ArmScheduler(sweep), SweepCallback(sweep)
    no_processes = SimpleNamespace(_started_actors=set(), _trial_to_actor=SimpleNamespace(get=lambda _: None))
    nobody, ray_id = cast("Any", no_processes), "0"
    while isinstance(config := searcher.suggest(ray_id), dict):
        trial, request = cast("Any", SimpleNamespace(config=config, trial_id=ray_id)), parse_trial(config)
        callback.on_trial_start(0, [], trial)
        known = request.repeat_epoch - 1 if request.repeat_epoch else sweep.ledger.entries[request.trial_id].epoch
        result, stops = {"epoch": min(known, _last_epoch(request.trial_id) - 1)}, False  # as its checkpoint has it
        while not stops:
            result = train(request, result["epoch"] + 1)
            stops = result["done"] or scheduler.on_trial_result(nobody, trial, result) == "STOP"
        scheduler.on_trial_complete(nobody, trial, result)
        searcher.on_trial_complete(ray_id, result)
        callback.on_trial_complete(0, [], trial)
        ray_id = str(int(ray_id) + 1)


def record_sweep(home: Home, rule: str) -> str:
    """A sweep that nothing has disturbed, from its first event to its registered model; only training is played."""
    folder = home.folder(SWEEP_ID)
    folder.path.mkdir(parents=True)
    folder.resolved_file.write_text(
        SWEEP.replace("RULE", RULES[rule])
        + ("  flip: false\n" if rule == "raced" else "")
        + CONFIRMS.get(rule, CONFIRM)
    )
    folder.manifest.write_text("{}")
    assert drive_sweep(home).state == "completed"
    register(home, SWEEP_ID)
    return SWEEP_ID


def drive_sweep(home: Home) -> SweepOutcome:
    """Runs the sweep from where its journal ends, as a driver would."""
    folder = home.folder(SWEEP_ID)
    spec = load_spec(folder.resolved_file)
    recorder = Recorder(home.tracking_uri, open_journal(folder, home.tracking_uri))
    sweep = build_sweep(spec, folder, recorder, listeners=[keep_error], clock_ms=recorder.now_ms)
    replay(sweep, recorder.past)
    sweep.begin(sweep.clock_ms())
    arms = build_arms(spec)
    recorder.start_sweep(
        SweepRecord(
            sweep_id=sweep.sweep_id,
            name=spec.name,
            project=spec.project,
            description="",
            sweep_file="",
            resolved="",
            manifest={},
            tags={names.SWEEP_DATASET: "synthetic", names.SWEEP_CONFIRM: describe_confirmation(spec, None)},
            goal_metric=spec.metric.name,
            goal=spec.metric.goal,
            compare="optimizer",
            arms=tuple(arm.name for arm in arms),
            searched=tuple(dict.fromkeys(name for arm in arms for name in searched(arm))),
        )
    )
    play(sweep, ArmSearcher(sweep, arms))
    outcome = finish(sweep, cast("Any", SimpleNamespace(data=None)), home)
    assert recorder.close(60.0)
    return outcome


def register(home: Home, sweep_id: str) -> None:
    client, winner = open_client(home.tracking_uri), find_winner(load_sweep(sweep_id, home.tracking_uri))
    assert winner is not None
    parent = find_parent(client, sweep_id).info
    client.create_registered_model("shapes")
    tags = {names.SWEEP_ID: sweep_id, names.TRIAL_ID: winner.trial_id, names.TRIAL_ARM: winner.arm}
    tags |= {names.SWEEP_DATASET: "synthetic", names.TEST_ACCURACY: f"{winner.summary[names.TEST_ACCURACY]:.4f}"}
    client.create_model_version("shapes", f"{parent.artifact_uri}/model", parent.run_id, tags=tags)
