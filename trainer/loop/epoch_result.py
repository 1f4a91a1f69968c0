"""What one epoch of training came to."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from trainer.loop.health import Health

StopReason = Literal["epochs", "patience", "diverged"]


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to. Losses, accuracies and seconds of an epoch that was not finished are NaN where unknown.

    Attributes:
        epoch: Number of the epoch, from 1.
        train_loss: Mean over the epoch's batches, each as it was met in training, L2 penalty of the model left out.
        train_accuracy: Share of right answers over the same batches, as a fraction.
        val_loss: Mean over the validation images after the epoch, without label smoothing.
        val_accuracy: Share of right answers over the validation images, as a fraction.
        lr: Learning rate of the epoch's last step.
        train_seconds: Wall-clock time of training in this epoch.
        validation_seconds: Wall-clock time of validation after this epoch.
        num_samples: Images trained on in this epoch.
        num_steps: Optimizer steps of this epoch.
        num_gradient_evaluations: Backward passes of this epoch.
        best_val_accuracy: Highest val_accuracy so far, NaN while there is none.
        best_epoch: First epoch that had it, 0 while there is none.
        health: Whether the network still learns.
        stop_reason: Why this epoch was the last one: "epochs" (all were run), "patience" (early stopping), "diverged"
            (a loss that is not finite, or twice what it began with); None when training goes on.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    train_seconds: float
    validation_seconds: float
    num_samples: int
    num_steps: int
    num_gradient_evaluations: int
    best_val_accuracy: float
    best_epoch: int
    health: Health
    stop_reason: StopReason | None

    @property
    def done(self) -> bool:
        """Whether this epoch was the last one."""
        return self.stop_reason is not None

    def metrics(self) -> dict[str, float]:
        """Every number of the epoch but its own, by name, finite or not; those of its health begin with "health."."""
        own = {
            each.name: float(getattr(self, each.name))
            for each in fields(self)
            if each.name not in ("epoch", "health", "stop_reason")
        }
        return own | {f"health.{name}": value for name, value in self.health.metrics().items()}
