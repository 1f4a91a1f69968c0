"""The Tune Trainable around `loop.TrainingRun`; beside `heartbeat`, the only file that knows Ray."""

from __future__ import annotations

import errno
import logging
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.train._internal.checkpoint_manager import _TrainingResult
from ray.tune import Trainable
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from trainer.config import Value, build_trial_config
from trainer.failures import describe_error
from trainer.heartbeat import Heartbeat
from trainer.working_directory import ignore_working_directory

if TYPE_CHECKING:
    from trainer.data.dataset import Dataset
    from trainer.loop.training_run import TrainingRun

STOP_REASON = "stop_reason"  # key of a trial's last result: epochs | patience | diverged | failed
ERROR = "error"  # key of a failed trial's last result: its traceback
logger = logging.getLogger(__name__)
HEALTH = "health"  # key of a result: one word on whether the network still learns
CURVATURE = "curvature"  # key of a last result: one word on where training ended, if that was asked for
MIN_CHECKPOINT_SECONDS = 20.0  # a restarted trial repeats at most this much work and one epoch
FULL_DISK_SECONDS = 3600.0  # how long a checkpoint waits for room on the disk
RETRY_SECONDS = 5.0  # between two tries to write one


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

    Whatever the training raises is the trial's result and not a fault of the machine: it is reported with its traceback
    and not tried again. So all that runs code of the user's runs in `step`: a checkpoint is loaded there, and packed
    there into the bytes that `save` writes. What Ray itself reports as an error is then always a lost process or node,
    which is worth a restart from the last checkpoint.

    A retraining reads the test images in a step of their own, after all that can fail, and after a checkpoint of the
    finished training, with its last result, is on the disk. Its process may be lost at any moment and the images are
    still read once, but for this: a process that is lost while it reads them, or before the driver has heard what it
    read, has told nobody, and the one that takes its place reads them again, with the same weights and to the same
    numbers.
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
        self._recovers_from: str | None = None  # the folder that Ray would have it go on from
        self._result_without_test: dict[
            str, Any
        ] = {}  # of a training that is over and has its test images still to read
        self._packed: bytes | None = None  # a checkpoint that is to be written
        self._saved_at = time.monotonic()
        self._patience_seconds = FULL_DISK_SECONDS
        self._heartbeat = Heartbeat(self.trial_id)
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or reads the test images.

        The result holds `epoch`, the metrics and, in the last one, `stop_reason`.
        """
        try:
            return self._step()
        except BaseException as error:  # the border that records a failed trial, whatever code of the user's raises
            if hasattr(error, "ray_terminate_msg"):  # Ray ends this process
                raise
            epoch = 0 if self._run is None else self._run.epoch
            failure, trace = describe_error(error)
            return {"epoch": epoch, STOP_REASON: "failed", "failure": failure, ERROR: trace, DONE: True}

    def _step(self) -> dict[str, Any]:
        self._packed = None
        self._heartbeat.beat()
        run = self._started_run()
        if self._result_without_test:
            test_loss, test_accuracy = run.evaluate_test()
            return {**self._result_without_test, "test_loss": test_loss, "test_accuracy": test_accuracy, DONE: True}
        result = self._run_epoch(run)
        has_weights = result.get(STOP_REASON, "diverged") != "diverged"
        if self._request.read_test and has_weights:
            self._result_without_test = result
            self._packed = self._pack(run)
            return {**_without_end(result), DONE: False, SHOULD_CHECKPOINT: True}
        if not result[DONE] and self._is_checkpoint_due(run.epoch):
            self._packed = self._pack(run)
            result[SHOULD_CHECKPOINT] = True
        return result

    def _run_epoch(self, run: TrainingRun) -> dict[str, Any]:
        """The result of the next epoch, of the last one with all but the test images."""
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
        return result

    def _is_checkpoint_due(self, epoch: int) -> bool:
        is_old = time.monotonic() - self._saved_at > MIN_CHECKPOINT_SECONDS
        return is_old or epoch in self._request.checkpoint_epochs

    def _pack(self, run: TrainingRun) -> bytes:
        from trainer.loop.checkpoint import pack_checkpoint

        return pack_checkpoint(run, self._result_without_test)

    def _started_run(self) -> TrainingRun:
        if self._run is None:
            self._run, self._result_without_test = self._find_start() or (self._build_run(), {})
        return self._run

    def _find_start(self) -> tuple[TrainingRun, dict[str, Any]] | None:
        """The training of the latest usable checkpoint, with its last result if it was over; None to begin anew."""
        request = self._request
        if self._recovers_from is not None and (found := self._load(self._recovers_from)) is not None:
            return found
        for folder in request.checkpoints:
            found = self._load(folder)
            # Weights that were given up, or are to be made again, are not gone on with.
            is_usable = found is not None and request.donor_epoch < found[0].epoch < (request.repeat_epoch or math.inf)
            if is_usable:
                return found
        return (self._take_over(), {}) if request.donor_epoch else None

    def _take_over(self) -> TrainingRun:
        """The training of the donor, with this trial's own settings from here on."""
        for folder in self._request.donor_checkpoints:
            found = self._load(folder, takes_over=True)
            if found is not None and found[0].epoch == self._request.donor_epoch:
                return found[0]
        raise RuntimeError(
            f"the weights that it was to go on with, after epoch {self._request.donor_epoch}, are not on the disk"
        )

    def _load(self, folder: str, *, takes_over: bool = False) -> tuple[TrainingRun, dict[str, Any]] | None:
        """The training as a checkpoint has it, and its last result if it was over; None where it cannot be used."""
        from trainer.loop.checkpoint import CheckpointError, load_checkpoint

        run = self._build_run()
        try:
            last_result = load_checkpoint(run, Path(folder), takes_over=takes_over)
        except CheckpointError as error:
            logger.warning("%s: %s", self._request.trial_id, error)
            return None
        # Of one that was over, the last result is still wanted; checkpoints of old do not have it.
        return (run, last_result) if run.stop_reason is None or last_result else None

    def _build_run(self) -> TrainingRun:
        from trainer.loop.training_run import TrainingRun

        # A trial that asked for no GPU sees all of them in Ray 2.60, so the device follows the request.
        granted = self.trial_resources.required_resources
        return TrainingRun(
            build_trial_config(self._request.parameters),
            self._data,
            device="cuda" if granted.get("GPU", 0) else "cpu",
            num_threads=int(granted["CPU"]),
            on_batch=self._heartbeat.beat,
        )

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the state of the training as `step` packed it, or as it is if Ray asks by itself."""
        from trainer.loop.checkpoint import write_packed

        write_packed(self._packed or self._pack(self._started_run()), Path(checkpoint_dir))
        self._saved_at = time.monotonic()

    def save(self, checkpoint_dir: str | None = None) -> _TrainingResult:
        """Has Ray write and keep a checkpoint, and waits while the disk is full, which is no fault of the process.

        After an hour the training goes on without this checkpoint, and does not wait again until one could be written.
        """
        give_up_at = time.monotonic() + self._patience_seconds
        while (saved := self._try_to_save(checkpoint_dir)) is None and time.monotonic() < give_up_at:
            time.sleep(RETRY_SECONDS)
        self._patience_seconds = 0.0 if saved is None else FULL_DISK_SECONDS
        self._packed = None
        self._saved_at = time.monotonic()
        return saved or _TrainingResult(checkpoint=None, metrics={})

    def _try_to_save(self, checkpoint_dir: str | None) -> _TrainingResult | None:
        """Ray's result; None where the disk is full, nothing of the checkpoint then being left."""
        storage = self._storage
        index = storage and storage.current_checkpoint_index
        try:
            with tempfile.TemporaryDirectory() as folder:
                return super().save(checkpoint_dir or folder)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            place = tempfile.gettempdir()
            if storage and storage.current_checkpoint_index != index:  # Ray had begun to copy it
                place = storage.trial_fs_path
                shutil.rmtree(storage.checkpoint_fs_path, ignore_errors=True)
                storage.current_checkpoint_index = index
            self._heartbeat.beat(f"{os.strerror(error.errno)}: {place} on {platform.node()}")
            return None

    def load_checkpoint(self, checkpoint: str) -> None:
        """Notes the folder that the training goes on from, on whatever node it is now; the next step reads it."""
        self._run, self._recovers_from = None, checkpoint

    def cleanup(self) -> None:
        """Lets go of the model."""
        self._run = self._packed = None


def _without_end(result: Mapping[str, Any]) -> dict[str, Any]:
    """A last result as one after which the trial has something left to do."""
    return {name: value for name, value in result.items() if name != STOP_REASON}
