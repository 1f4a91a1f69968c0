"""Which epoch's weights a run keeps, and when early stopping has waited long enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class BestEpoch:
    """The best epoch so far by validation accuracy, and the epochs since the last one that counted as better.

    Source: Prechelt 1998, section 2.1 (stopping after a number of epochs without a gain),
    https://doi.org/10.1007/3-540-49430-8_3; the gain that counts is an absolute one, as in Keras's EarlyStopping.

    Args:
        patience: Epochs without a gain after which to stop, None for never.
        min_delta: Validation accuracy, as a fraction, that the last gain has to be exceeded by.

    Attributes:
        best_val_accuracy: NaN while there is none.
        best_epoch: First epoch that had it, 0 while there is none.
        best_weights: State of the model after that epoch, None while there is none.
    """

    def __init__(self, patience: int | None, min_delta: float) -> None:
        self._patience = patience
        self._min_delta = min_delta
        self.best_val_accuracy = math.nan
        self.best_epoch = 0
        self.best_weights: dict[str, Tensor] | None = None
        self._to_beat = -math.inf
        self._num_bad_epochs = 0

    def end_epoch(self, epoch: int, val_accuracy: float, model: nn.Module) -> bool:
        """Takes in an epoch; returns whether early stopping has waited long enough.

        Args:
            epoch: Its number, from 1.
            val_accuracy: Finite.
            model: As the epoch has left it.
        """
        if self.best_epoch == 0 or val_accuracy > self.best_val_accuracy:
            self.best_val_accuracy = val_accuracy
            self.best_epoch = epoch
            self.best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        if val_accuracy > self._to_beat + self._min_delta:
            self._to_beat = val_accuracy
            self._num_bad_epochs = 0
        else:
            self._num_bad_epochs += 1
        return self._patience is not None and self._num_bad_epochs >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept to go on later with the same decisions."""
        return {
            "best_val_accuracy": self.best_val_accuracy,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
            "to_beat": self._to_beat,
            "num_bad_epochs": self._num_bad_epochs,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from the state of an equal selection."""
        self.best_val_accuracy = state["best_val_accuracy"]
        self.best_epoch = state["best_epoch"]
        self.best_weights = state["best_weights"]
        self._to_beat = state["to_beat"]
        self._num_bad_epochs = state["num_bad_epochs"]
