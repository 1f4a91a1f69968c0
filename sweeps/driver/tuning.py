"""Runs Ray Tune on a sweep; the only file that makes a Tuner. Importing it takes seconds."""

from __future__ import annotations

from typing import Any

from ray import tune

from sweeps.driver.callback import SweepCallback
from sweeps.driver.cluster import without_runtime_environment
from sweeps.driver.prior import Prior
from sweeps.driver.room import RoomWatch, without_snapshots
from sweeps.driver.scheduler import ArmScheduler
from sweeps.driver.searcher import ArmSearcher
from sweeps.running.sweep import RunningSweep
from sweeps.space.arms import Arm
from trainer.data.dataset import Dataset
from trainer.trainable import CifarTrainable

MAX_LOST_PROCESSES = 3  # restarts of a trial whose process or node was lost


def run_tune(sweep: RunningSweep, arms: tuple[Arm, ...], prior: Prior, data: Dataset) -> None:
    """Runs Tune until nothing is left to try, or a signal stops it."""
    resources = {"cpu": sweep.spec.resources.cpu, "gpu": sweep.spec.resources.gpu}
    trainable = tune.with_resources(tune.with_parameters(CifarTrainable, data=data), resources)
    room = RoomWatch(sweep)
    num_drivers = len(list(sweep.folder.ray.glob("*")))  # before this one
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=ArmSearcher(sweep, arms, prior, room),
            scheduler=ArmScheduler(sweep),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_name_trial,
            trial_dirname_creator=_name_trial,
        ),
        run_config=tune.RunConfig(
            name=f"trials-{num_drivers:04d}",  # a folder of its own: Tune would write over the checkpoints of another
            storage_path=str(sweep.folder.ray),
            callbacks=[SweepCallback(sweep, room)],
            # Not at the end, as is the default: a trial that is over needs none, and a failed one has none.
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_LOST_PROCESSES),
            progress_reporter=_build_silent_reporter(),
            verbose=0,
        ),
    )
    with without_snapshots(), without_runtime_environment():
        tuner.fit()


def _build_silent_reporter() -> Any:
    """In a notebook Tune's own reporter would clear the cell's output, at every verbosity."""

    class SilentReporter(tune.ProgressReporter):  # type: ignore[misc]
        def should_report(self, trials: Any, done: bool = False) -> bool:  # noqa: ARG002
            return False

    return SilentReporter()


def _name_trial(trial: Any) -> str:
    """A name, and a folder for its checkpoints, for each time that a trial goes on after a pause."""
    part = trial.config["part"]
    return f"{trial.config['trial_id']}_{part:03d}" if part else str(trial.config["trial_id"])
