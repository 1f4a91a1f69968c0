"""The weights that are evaluated, where they are not those that train: an average, kept beside or by the optimizer.

Shapes: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # of one, two and three dimensions
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainer.networks.network import Network

Batches = Callable[[], Iterable[Tensor]]


class EvaluationWeights:
    """Gives the model to evaluate: the training one, its moving average, or what the optimizer switches to.

    Statistics of batch normalisation belong to the weights that they were taken with, so for weights other than those
    that trained they are taken anew from training images before each evaluation.

    Source of the average: Polyak and Juditsky 1992; the first step copies the weights, as in torch's AveragedModel.

    Args:
        model: The model that trains.
        optimizer: Its optimizer; one that `switches` has `train()` and `eval()`.
        switches: Whether it does.
        ema_decay: Decay rate of the moving average per step; None for none.
    """

    def __init__(
        self, model: Network, optimizer: torch.optim.Optimizer, *, switches: bool, ema_decay: float | None
    ) -> None:
        self._model = model
        self._optimizer: Any = optimizer
        self._switches = switches
        self._average: AveragedModel | None = None
        self._ema_decay = 0.0 if ema_decay is None else ema_decay
        if ema_decay is not None:
            mean = get_ema_multi_avg_fn(ema_decay)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(model, multi_avg_fn=mean)

    @torch.no_grad()
    def after_step(self) -> None:
        """Takes the weights of a step into the average."""
        if self._average is None:
            return
        if self._average.n_averaged == 0:
            self._average.update_parameters(self._model)
            return
        # As `update_parameters`, which would copy the count to an accelerator in each step, and wait for that.
        module = self._average.module
        torch._foreach_lerp_(list(module.parameters()), list(self._model.parameters()), 1 - self._ema_decay)
        for kept, buffer in zip(module.buffers(), self._model.buffers(), strict=True):
            kept.copy_(buffer)
        self._average.n_averaged += 1

    @contextmanager
    def applied(self, batches: Batches) -> Iterator[Network]:
        """The model to evaluate and to keep; training goes on unchanged after the block.

        Args:
            batches: Makes normalised training images, images_NCHW, for the statistics of batch normalisation.
        """
        if self._average is not None:
            averaged = cast("Network", self._average.module)
            _take_statistics(averaged, batches)
            yield averaged
        elif self._switches:
            trained = copy.deepcopy(self._model.state_dict())  # to switch there and back would round the weights
            self._optimizer.eval()
            _take_statistics(self._model, batches)
            yield self._model
            self._optimizer.train()
            self._model.load_state_dict(trained)
        else:
            yield self._model

    def state_dict(self) -> dict[str, Any]:
        """The average, to go on later; empty without one."""
        return {} if self._average is None else self._average.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from the state of an equal one."""
        if self._average is not None:
            self._average.load_state_dict(state)


@contextmanager
def without_statistics(model: nn.Module) -> Iterator[None]:
    """Inside the block training leaves the running mean and variance of batch normalisation as they are."""
    layers = _normalizations(model)
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def _normalizations(model: nn.Module) -> list[_BatchNorm]:
    """The layers of batch normalisation that keep a running mean and variance."""
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


@torch.no_grad()
def _take_statistics(model: nn.Module, batches: Batches) -> None:
    """Sets mean and variance of batch normalisation to the mean over batches, as torch's `update_bn` does."""
    layers = _normalizations(model)
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    model.eval()  # nothing but these layers is set to train: dropout stays off
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean
        layer.train()
    for images_NCHW in batches():
        model(images_NCHW)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
