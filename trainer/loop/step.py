"""One change of the weights: gradient, clipping, and the optimizer's own ways of asking for them.

Shapes: B images of a batch, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from trainer.config import TrialConfig, get_row
from trainer.loop.compute import Precision, autocast, compile_model
from trainer.loop.evaluation_weights import without_statistics
from trainer.networks.network import Network
from trainer.randomness import stream_seed
from trainer.tables.losses import Loss, LossRow
from trainer.tables.optimizer_row import OptimizerRow
from trainer.tables.settings import get_int

Batch = tuple[Tensor, Tensor]  # images_BCHW, labels_B


class Stepper:
    """Changes a model's weights, a batch at a time.

    Args:
        config: Names optimizer, loss and the rest.
        model: On the device that it stays on.
        precision: Arithmetic of the model.

    Attributes:
        optimizer: The optimizer.
        num_gradient_evaluations: Backward passes so far, Hessian-vector products among them.
    """

    def __init__(self, config: TrialConfig, model: Network, precision: Precision) -> None:
        self._config = config
        self._model = model
        self._device = next(model.parameters()).device
        self._precision = precision
        self._row = get_row(OptimizerRow, "optimizer", config.optimizer)
        fused = self._device.type in self._row.fused_devices
        self.optimizer = self._row.build(model.parameters(), config.optimizer.settings, fused)
        self._forward = compile_model(model, self._device) if config.compile else model
        self._loss: Loss = get_row(LossRow, "loss", config.loss).build(config.loss.settings, True)
        self._hessian_every = get_int(config.optimizer.settings, "hessian_every") if self._row.draws else 0
        self.num_gradient_evaluations = 0

    def step(
        self, index: int, lr: float, batches: Sequence[Callable[[], Batch]], mixing: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Changes the weights once.

        Args:
            index: Steps of the run before this one.
            lr: Learning rate of this step.
            batches: Makes each part of the batch; the gradient is that of all of them together.
            mixing: Share of each image that is its own, the rest being its neighbour's; None for whole images.

        Returns:
            The mean loss and the logits_BK, of the weights as they were before.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        if len(batches) == 1:
            images_BCHW, labels_B = batches[0]()
            batches = [lambda: (images_BCHW, labels_B)]
        creates_graph = self._row.differentiates_gradient and index % self._hessian_every == 0
        seen: list[tuple[Tensor, Tensor]] = []

        def evaluate_gradient() -> Tensor:
            self.num_gradient_evaluations += 1
            self._model.seed_dropout(self._config.seed, index)
            # Later ones are at weights that may not be kept, of which batch normalisation is to learn nothing.
            with without_statistics(self._model) if seen else nullcontext():
                objective, *outcome = self._evaluate_gradient(batches, mixing, creates_graph)
            seen.append((outcome[0], outcome[1]))
            return objective

        with self._own_randomness(index):
            if self._row.gradient_first:
                evaluate_gradient()
            # torch declares a float; a tensor serves as well and is not waited for.
            self.optimizer.step(cast("Callable[[], float]", evaluate_gradient))
        if creates_graph:
            self.num_gradient_evaluations += 1
            for weight in self._model.parameters():  # gradients that hold their own graph would keep all of it
                weight.grad = None if weight.grad is None else weight.grad.detach()
        return seen[0]

    def _evaluate_gradient(
        self, batches: Sequence[Callable[[], Batch]], mixing: float | None, creates_graph: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Puts the gradient of all parts in place; the loss with the penalty, without it, and the logits_BK."""
        self.optimizer.zero_grad(set_to_none=True)
        losses, logits, sizes = [], [], []
        for load in batches:
            images_BCHW, labels_B = load()
            with autocast(self._precision, self._device):
                logits_BK = self._forward(images_BCHW if mixing is None else blend(images_BCHW, mixing))
            loss = self._loss(logits_BK.float(), labels_B)
            if mixing is not None:
                loss = mixing * loss + (1 - mixing) * self._loss(logits_BK.float(), labels_B.roll(1))
            if len(batches) == 1:
                losses, logits = [loss], [logits_BK.detach()]
                break
            torch.autograd.backward(loss * len(labels_B))  # divided below, when the number of all is known
            losses.append(loss.detach() * len(labels_B))
            logits.append(logits_BK.detach())
            sizes.append(len(labels_B))
        if sizes:
            for weight in self._model.parameters():
                if weight.grad is not None:
                    weight.grad /= sum(sizes)
        total = losses[0] if not sizes else torch.stack(losses).sum() / sum(sizes)
        penalty = self._model.penalty()
        objective = total if penalty is None else total + penalty
        if not sizes:
            with warnings.catch_warnings():
                # Remarked on for the memory that a cycle of references holds; `step` breaks it.
                warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
                torch.autograd.backward(objective, create_graph=creates_graph)
        elif penalty is not None:
            torch.autograd.backward(penalty)
        if self._config.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(self._model.parameters(), self._config.gradient_clip_norm)
        return objective.detach(), total.detach(), torch.cat(logits)

    def _own_randomness(self, index: int) -> AbstractContextManager[None]:
        """For an optimizer that draws: a stream of its own for each step, whatever has been drawn before."""
        if not self._row.draws:
            return nullcontext()
        return _seeded(self._config.seed, index, self._device)


@contextmanager
def _seeded(seed: int, index: int, device: torch.device) -> Iterator[None]:
    """Sets torch's global generator of a device inside the block and puts it back after it."""
    stream = stream_seed(seed, "optimizer", index) >> 1
    # torch.manual_seed would set the generators of all devices.
    if device.type == "cuda":
        with torch.random.fork_rng(devices=[device]), torch.cuda.device(device):
            torch.cuda.manual_seed(stream)
            yield
    else:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(stream)
            yield


def blend(images_BCHW: Tensor, mixing: float) -> Tensor:
    """Each image with the one before it in the batch, the first with the last; their order is random already.

    Source: Zhang et al. 2018, section 2, https://arxiv.org/abs/1710.09412.
    """
    return images_BCHW.lerp(images_BCHW.roll(1, 0), 1 - mixing)
