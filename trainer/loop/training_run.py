"""One training run, epoch by epoch; knows neither Ray nor MLflow.

Shapes: S steps of an epoch, N images, B images of a batch, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from trainer.config import TrialConfig, get_row
from trainer.data.augmentation import Augmentation, draw_augmentation, draw_mixing
from trainer.data.batches import ImageStore
from trainer.data.dataset import Dataset
from trainer.data.run_data import RunData
from trainer.loop.best_epoch import BestEpoch
from trainer.loop.compute import autocast, choose_precision, exact_arithmetic
from trainer.loop.curvature import Curvature, measure_curvature
from trainer.loop.epoch_result import EpochResult, StopReason
from trainer.loop.evaluation_weights import EvaluationWeights
from trainer.loop.health import HealthCheck
from trainer.loop.step import Stepper
from trainer.networks.network import Network
from trainer.randomness import build_generator
from trainer.tables.initializers import InitializerRow, initialize
from trainer.tables.losses import LossRow
from trainer.tables.models import ModelRow
from trainer.tables.optimizer_row import OptimizerRow
from trainer.tables.schedules import ScheduleContext, ScheduleRow
from trainer.tables.settings import get_float

_EVALUATION_BATCH = 500
_CURVATURE_IMAGES = 250
_DIVERGENCE_FACTOR = 2.0  # a loss above this times its first value is diverged; protocol, rule 7
_CHECK_STEPS = 50  # how often the CPU, where a look costs nothing, looks for a loss that is not finite


def _do_nothing() -> None:
    """What is called after a batch where nobody listens."""


class TrainingRun:
    """One training: owns the model, the optimizer, the schedule, and every generator.

    For one seed the initial weights, the order of images, the augmentation and what dropout drops are the same
    whatever else the configuration says (the weights, where model and initialiser agree), and never use torch's global
    generator. On the same hardware the same configuration gives the same numbers to the bit.

    Args:
        config: Every setting of the run.
        data: The images, which are read and not copied where the device is the CPU.
        device: "cpu", "cuda" or "cuda:<index>"; None for cuda where there is one, else the CPU.
        num_threads: CPU threads of this process from now on; None to leave them as they are.
        on_batch: Called after every batch, of training and of evaluation.

    Attributes:
        config: As given.
        device: Where it runs.
        precision: "fp32" or "bf16", what the configuration's precision came to on this hardware.
        data_digest: Digest of the data.
        channels: Mean and standard deviation of each channel over the training images, in units of a byte.
        epoch: Epochs run so far.
        stop_reason: Why the run has ended, None while it goes on.

    Raises:
        ConfigError: The configuration does not fit the data.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: Dataset,
        *,
        device: str | None = None,
        num_threads: int | None = None,
        on_batch: Callable[[], None] = _do_nothing,
    ) -> None:
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        self.config = config
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision = choose_precision(config.precision, self.device)
        self.epoch = 0
        self.stop_reason: StopReason | None = None
        self.data_digest = data.digest
        self._data = data
        self._on_batch = on_batch
        self._order_generator = build_generator(config.seed, "order")
        self._augmentation_generator = build_generator(config.seed, "augmentation")
        self._first_loss = math.nan
        self._out_of_patience = False
        self._build_parts(config.after(0))

    @property
    def num_held_out(self) -> int:
        """Images that it is evaluated on after each epoch."""
        return len(self._images.held_out_indices_N)

    def run_epoch(self) -> EpochResult:
        """Trains one epoch and validates; the outcome, whatever it is, is a result.

        Raises:
            RuntimeError: The run has ended already.
        """
        if self.stop_reason is not None:
            raise RuntimeError(f"the run ended after epoch {self.epoch} ({self.stop_reason}); there is no next epoch")
        self._change_settings(self.config.after(self.epoch))
        self.epoch += 1
        num_gradients_before = self._stepper.num_gradient_evaluations
        start = time.perf_counter()
        with exact_arithmetic():
            losses_S, num_correct = self._train_epoch()
            train_seconds = time.perf_counter() - start
            num_steps = len(losses_S)
            val_loss = val_accuracy = math.nan
            if all(map(math.isfinite, losses_S)):
                with self._evaluation_weights.applied(self._load_for_statistics) as model, self._health.watching(model):
                    val_loss, val_accuracy = self._evaluate(
                        model, self._images.held_out, self._images.held_out_indices_N
                    )
                    if math.isfinite(val_loss):
                        self._out_of_patience = self._selection.end_epoch(self.epoch, val_accuracy, model)
        validation_seconds = time.perf_counter() - start - train_seconds
        if self.epoch == 1:
            self._first_loss = losses_S[0]
        diverged = not math.isfinite(val_loss) or _has_grown(losses_S, self._first_loss)
        self._end_epoch(val_loss, diverged)
        train_loss = sum(losses_S) / num_steps
        num_samples = num_steps * self._images.batch_size
        return EpochResult(
            epoch=self.epoch,
            train_loss=train_loss,
            train_accuracy=num_correct / num_samples,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self._lr,
            train_seconds=train_seconds,
            validation_seconds=validation_seconds,
            num_samples=num_samples,
            num_steps=num_steps,
            num_gradient_evaluations=self._stepper.num_gradient_evaluations - num_gradients_before,
            best_val_accuracy=self._selection.best_val_accuracy,
            best_epoch=self._selection.best_epoch,
            health=self._health.conclude(
                epoch=self.epoch, diverged=diverged, first_loss=self._first_loss, train_loss=train_loss
            ),
            stop_reason=self.stop_reason,
        )

    def evaluate_test(self) -> tuple[float, float]:
        """Loss and accuracy on the test images, with the weights of the best validation epoch.

        Raises:
            RuntimeError: No epoch has ended with a finite validation loss.
        """
        with exact_arithmetic():
            return self._evaluate(self.build_best_model(), *self._images.load_test())

    def measure_curvature(self) -> Curvature:
        """Curvature of the training loss at the last weights, on some training images as they are, in fp32."""
        images_BCHW, labels_B = self._images.train.build_batch(self._images.sample_N[:_CURVATURE_IMAGES])
        loss = get_row(LossRow, "loss", self._in_force.loss).build(self._in_force.loss.settings, True)
        model = self.model.eval()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        with exact_arithmetic():
            return measure_curvature(lambda: loss(model(images_BCHW), labels_B), weights, self.config.seed)

    def build_best_model(self) -> Network:
        """A copy of the model with the weights of the best validation epoch, for normalised images, ready to predict.

        Raises:
            RuntimeError: No epoch has ended with a finite validation loss.
        """
        weights = self._selection.best_weights
        if weights is None:
            raise RuntimeError("there are no best weights: no epoch has ended with a finite validation loss")
        model: Network = copy.deepcopy(self.model)
        model.load_state_dict(weights)
        return model.eval()  # a run that has just been restored, or has ended within an epoch, is set to train

    def state_dict(self) -> dict[str, Any]:
        """Everything that a new run of the same configuration and data needs to go on as this one would."""
        return {
            "epoch": self.epoch,
            "stop_reason": self.stop_reason,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self._evaluation_weights.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generators": {
                "order": self._order_generator.get_state(),
                "augmentation": self._augmentation_generator.get_state(),
            },
            "first_loss": self._first_loss,
            "selection": self._selection.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from the state of a run of the same configuration and data, which `checkpoint.py` checks."""
        in_force = self.config.after(max(0, state["epoch"] - 1))
        if in_force != self._in_force:
            self._build_parts(in_force)
        self._load_state(state)

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]
        self.stop_reason = state["stop_reason"]
        self.model.load_state_dict(state["model"])
        # Copied first, since the optimizer would otherwise go on working on the tensors of the state.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._evaluation_weights.load_state_dict(state.get("average", {}))  # checkpoints of old have none
        self.schedule.load_state_dict(state["schedule"])
        self._order_generator.set_state(state["generators"]["order"].cpu())
        self._augmentation_generator.set_state(state["generators"]["augmentation"].cpu())
        self._first_loss = state["first_loss"]
        self._selection.load_state_dict(state["selection"])

    def take_over(self, state: Mapping[str, Any], config: TrialConfig) -> None:
        """Goes on from the state of a run of the same network and data, with settings of its own from here on.

        Args:
            state: Of that run.
            config: Of that run.
        """
        other = TrainingRun(config, self._data, device=str(self.device))
        # What its optimizer's groups hold that does not come from its settings is part of the state.
        own = [
            {key: value for key, value in mine.items() if key != "params" and value != its.get(key)}
            for mine, its in zip(self.optimizer.param_groups, other.optimizer.param_groups, strict=True)
        ]
        self._load_state(state)
        for group, settings in zip(self.optimizer.param_groups, own, strict=True):
            group.update(settings)

    def _change_settings(self, config: TrialConfig) -> None:
        """Goes on with other settings, as a run of those that takes this one over."""
        if config == self._in_force:
            return
        before, state = self._in_force, self.state_dict()
        self._build_parts(config)
        self.take_over(state, before)

    def _build_parts(self, config: TrialConfig) -> None:
        """All that hangs on the settings, as it is before the first step."""
        self._in_force = config
        self._images = RunData(config, self._data, self.device)
        self.channels = self._images.channels
        self._selection = BestEpoch(config.early_stopping_patience, config.early_stopping_min_delta)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(
                config.seed
            )  # layers draw weights of their own, of which all but rare ones are drawn anew
            model = get_row(ModelRow, "model", config.model).build(config.model.settings, len(self._data.classes))
        initializer = config.initializer
        initialize(
            model,
            get_row(InitializerRow, "initializer", initializer),
            initializer.settings,
            build_generator(config.seed, "weights"),
        )
        row = get_row(OptimizerRow, "optimizer", config.optimizer)
        layout = torch.contiguous_format if row.flattens else torch.channels_last
        self.model: Network = model.to(device=self.device, memory_format=layout)  # type: ignore[call-overload]
        self._stepper = Stepper(config, self.model, self.precision)
        self.optimizer = self._stepper.optimizer
        self._evaluation_weights = EvaluationWeights(
            self.model,
            self.optimizer,
            switches=row.switches,
            ema_decay=config.ema_decay,
        )
        self._health = HealthCheck(self.model)
        self._lr = get_float(config.optimizer.settings, "lr")
        plan = ScheduleContext(
            lr=self._lr,
            num_steps=config.epochs * self._images.steps_per_epoch,
            steps_per_epoch=self._images.steps_per_epoch,
            num_warmup_steps=round(config.warmup_epochs * self._images.steps_per_epoch),
        )
        self.schedule = get_row(ScheduleRow, "schedule", config.schedule).build(config.schedule.settings, plan)
        self._evaluation_loss = get_row(LossRow, "loss", config.loss).build(config.loss.settings, False)

    def _train_epoch(self) -> tuple[list[float], int]:
        """Loss of each step of an epoch, and how many images were right; ends early when a loss is not finite."""
        self.model.train()
        images, num_steps = self._images, self._images.steps_per_epoch
        done, num_train = (self.epoch - 1) * num_steps, len(images.train_indices_N)
        order_N = torch.randperm(num_train, generator=self._order_generator).to(self.device)
        order_N = images.train_indices_N[order_N]
        augmentation = draw_augmentation(
            self._in_force, self.epoch, num_train, self._augmentation_generator, self.device
        )
        mixing_S = draw_mixing(self._in_force, self.epoch, num_steps)
        losses_S = torch.zeros(num_steps, device=self.device)
        num_correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for index in range(num_steps):
            batches = [partial(self._load, order_N, augmentation, chunk) for chunk in images.list_chunks(index)]
            self._lr = self.schedule.get_lr(done + index)
            if index == num_steps - 1:
                self._health.before_step()
            losses_S[index], logits_BK = self._stepper.step(done + index, self._lr, batches, mixing_S[index])
            self._evaluation_weights.after_step()
            self._on_batch()
            chosen_N = order_N[index * images.batch_size : (index + 1) * images.batch_size]
            num_correct += (logits_BK.argmax(1) == images.train.labels_N[chosen_N]).sum()
            # On an accelerator a look would wait for all the work that is queued.
            if self.device.type == "cpu" and index % _CHECK_STEPS == 0 and not losses_S[index].isfinite():
                losses_S = losses_S[: index + 1]
                break
        else:
            self._health.after_step()
        return losses_S.tolist(), int(num_correct)

    def _load(self, order_N: Tensor, augmentation: Augmentation, chosen: slice) -> tuple[Tensor, Tensor]:
        """Images and labels of a part of an epoch."""
        return self._images.train.build_augmented_batch(order_N[chosen], augmentation[chosen])

    def _load_for_statistics(self) -> Iterator[Tensor]:
        """Some training images as they are, for the statistics of batch normalisation."""
        sample_N = self._images.sample_N
        num_batches = math.ceil(len(sample_N) / _EVALUATION_BATCH)  # of equal sizes, since each counts the same
        for indices_B in sample_N.tensor_split(num_batches):
            with autocast(self.precision, self.device):
                yield self._images.train.build_batch(indices_B)[0]

    @torch.no_grad()
    def _evaluate(self, model: nn.Module, store: ImageStore, indices_N: Tensor) -> tuple[float, float]:
        """Mean loss and accuracy over some images, as they are."""
        model.eval()
        totals = torch.zeros(2, dtype=torch.float64, device=self.device)
        for indices_B in torch.split(indices_N, _EVALUATION_BATCH):
            images_BCHW, labels_B = store.build_batch(indices_B)
            with autocast(self.precision, self.device):
                logits_BK = model(images_BCHW)
            totals[0] += self._evaluation_loss(logits_BK.float(), labels_B) * len(labels_B)
            totals[1] += (logits_BK.argmax(1) == labels_B).sum()
            self._on_batch()
        loss, accuracy = (totals / len(indices_N)).tolist()
        return loss, accuracy

    def _end_epoch(self, val_loss: float, diverged: bool) -> None:
        """Takes the outcome of an epoch into the schedule and the reason to stop."""
        self.schedule.end_epoch(val_loss)
        if diverged:
            self.stop_reason = "diverged"
        elif self.epoch == self.config.epochs:
            self.stop_reason = "epochs"
        elif self._out_of_patience:
            self.stop_reason = "patience"


def _has_grown(losses_S: list[float], first_loss: float) -> bool:
    """Whether the last steps of an epoch have more than twice the loss that training began with.

    The last tenth, at least ten steps, decides: a high learning rate may well lose its way at first and find it again.
    """
    last = losses_S[-max(10, len(losses_S) // 10) :]
    return sum(last) / len(last) > _DIVERGENCE_FACTOR * first_loss
