"""The Tune Trainable around `loop.TrainingRun`: the only file of the trainer that knows Ray."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import Trainable
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from trainer.config import Value, build_trial_config
from trainer.config.own_rows import ignore_working_directory

if TYPE_CHECKING:
    from trainer.data.dataset import Dataset
    from trainer.loop.training_run import TrainingRun

STOP_REASON = "stop_reason"  # key of a trial's last result: epochs | patience | diverged | failed
ERROR = "error"  # key of a failed trial's last result: its traceback
logger = logging.getLogger(__name__)
HEALTH = "health"  # key of a result: one word on whether the network still learns
CURVATURE = "curvature"  # key of a last result: one word on where training ended, if that was asked for
MIN_CHECKPOINT_SECONDS = 20.0  # a restarted trial repeats at most this much work and one epoch


@dataclass(frozen=True)
class TrialRequest:
    """What the driver asks of one trial: who it is, and its flat parameters."""

    trial_id: str
    arm: str
    stage: str
    number: int
    read_test: bool  # read the test split, once, at the end
    parameters: Mapping[str, Value]
    checkpoints: tuple[
        str, ...
    ] = ()  # folders to go on from, the best first; those that cannot be used are passed over
    checkpoint_epochs: tuple[int, ...] = ()  # after which the state is saved in any case
    part: int = 0  # how often the trial has gone on after a pause
    donor_checkpoints: tuple[str, ...] = ()  # of the trial whose weights it takes over, of which those after
    donor_epoch: int = 0  # this epoch are meant; 0 for none
    repeat_epoch: int = 0  # an epoch to be trained again, so that no checkpoint after it is used; 0 for none

    def to_ray(self) -> dict[str, Any]:
        """The loose dict that Ray carries; `parse_trial` reads it back."""
        return {**vars(self), "parameters": dict(self.parameters)}


def parse_trial(config: Mapping[str, Any]) -> TrialRequest:
    """Returns what a Ray config asks for."""
    return TrialRequest(**{name: config[name] for name in TrialRequest.__dataclass_fields__})


class CifarTrainable(Trainable):  # type: ignore[misc]  # Ray ships no types
    """Runs one training, an epoch per `step`, and reports every outcome as a result, a failure included.

    An exception of the training is the trial's result and not a fault of the machine: it is reported with its traceback
    and not tried again. What Ray itself reports as an error is then always a lost process or node, which is worth
    a restart from the last checkpoint.
    """

    def setup(self, config: dict[str, Any], data: Dataset) -> None:
        """Prepares the first trial of this process; `data` lies in Ray's object store and is not copied."""
        ignore_working_directory()  # Ray puts it first; what a sweep names is looked for there all the same
        self._data = data
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepares the next trial in the same process: saves the seconds that importing torch takes."""
        self._request = parse_trial(new_config)
        self._run: TrainingRun | None = None
        self._saved_at = time.monotonic()
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch; the result holds `epoch`, the metrics and, in the last one, `stop_reason`."""
        try:
            return self._step()
        except Exception as error:  # noqa: BLE001  # the border that records a failed trial
            epoch = 0 if self._run is None else self._run.epoch
            return {
                "epoch": epoch,
                STOP_REASON: "failed",
                "failure": f"{type(error).__name__}: {error}",
                ERROR: traceback.format_exc(),
                DONE: True,
            }

    def _step(self) -> dict[str, Any]:
        run = self._started_run()
        epoch = run.run_epoch()
        result: dict[str, Any] = {
            **epoch.metrics(),
            "epoch": epoch.epoch,
            HEALTH: epoch.health.verdict,
            DONE: epoch.done,
        }
        if epoch.done:
            result[STOP_REASON] = epoch.stop_reason
            if run.config.measure_curvature and epoch.stop_reason != "diverged":
                curvature = run.measure_curvature()
                result["hessian_largest"], result["hessian_smallest"] = curvature.largest, curvature.smallest
                result[CURVATURE] = curvature.kind(epoch.lr)
            if self._request.read_test and epoch.stop_reason != "diverged":
                result["test_loss"], result["test_accuracy"] = run.evaluate_test()
                result[SHOULD_CHECKPOINT] = True  # the winner's weights are registered from it
        elif (
            epoch.epoch in self._request.checkpoint_epochs or time.monotonic() - self._saved_at > MIN_CHECKPOINT_SECONDS
        ):
            result[SHOULD_CHECKPOINT] = True
        return result

    def _started_run(self) -> TrainingRun:
        if self._run is None:
            self._run = self._resume() or self._build_run()
        return self._run

    def _resume(self) -> TrainingRun | None:
        """The training as the latest usable checkpoint has it; None to begin anew."""
        from trainer.loop.checkpoint import CheckpointError, load_checkpoint

        for folder in self._request.checkpoints:
            run = self._build_run()
            try:
                load_checkpoint(run, Path(folder))
            except CheckpointError as error:
                logger.warning("%s: %s", self._request.trial_id, error)
                continue
            # Of one that was over, the last result is still wanted; weights that were given up are not.
            is_late = 0 < self._request.repeat_epoch <= run.epoch
            if run.stop_reason is None and run.epoch > self._request.donor_epoch and not is_late:
                return run
        return self._take_over() if self._request.donor_epoch else None

    def _take_over(self) -> TrainingRun:
        """The training of the donor, with this trial's own settings from here on."""
        from trainer.loop.checkpoint import CheckpointError, load_checkpoint

        for folder in self._request.donor_checkpoints:
            run = self._build_run()
            try:
                load_checkpoint(run, Path(folder), takes_over=True)
            except CheckpointError as error:
                logger.warning("%s: %s", self._request.trial_id, error)
                continue
            if run.epoch == self._request.donor_epoch:
                return run
        raise RuntimeError(
            f"the weights that it was to go on with, after epoch {self._request.donor_epoch}, are not on the disk"
        )

    def _build_run(self) -> TrainingRun:
        from trainer.loop.training_run import TrainingRun

        # A trial that asked for no GPU sees all of them in Ray 2.60, so the device follows the request.
        granted = self.trial_resources.required_resources
        return TrainingRun(
            build_trial_config(self._request.parameters),
            self._data,
            device="cuda" if granted.get("GPU", 0) else "cpu",
            num_threads=int(granted["CPU"]),
        )

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the exact state of the training."""
        from trainer.loop.checkpoint import write_checkpoint

        write_checkpoint(self._started_run(), Path(checkpoint_dir))
        self._saved_at = time.monotonic()

    def load_checkpoint(self, checkpoint: str) -> None:
        """Continues a training from a checkpoint, on whatever node it is now."""
        from trainer.loop.checkpoint import load_checkpoint

        self._run = self._build_run()
        load_checkpoint(self._run, Path(checkpoint))

    def cleanup(self) -> None:
        """Lets go of the model."""
        self._run = None
