"""Whether a network still learns: norms of gradients and steps, dead units, and a verdict in one word.

Taken once per epoch, at its last step and on a part of the validation images, so that it costs next to nothing.
Shapes: N images, C channels or units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

HealthVerdict = Literal["healthy", "diverged", "exploding", "vanishing", "dead", "stalled"]

# Conventions of this project, wide enough that a network which learns is called healthy.
EXPLODING_NORM = 1e3
VANISHING_RATIO = 1e-4
DEAD_SHARE = 0.5
STALLED_SHARE = 0.99  # of the loss that training began with
STALLED_EPOCHS = 2


@dataclass(frozen=True)
class Health:
    """What one epoch's last step and validation say of the network.

    Attributes:
        gradient_norm: Euclidean norm of the gradient of all weights, as the optimizer got it.
        layer_gradient_norms: The same for the weight of each convolution and dense layer, in the order of the layers.
        first_to_last_gradient: Norm of the first layer's gradient over that of the last.
        update_to_weight: Norm of the step over the norm of the weights, the median of the layers.
        dead_units: Share of ReLU units (channels of convolutions) that no image turns on; 0 without any.
        verdict: One word on it.
    """

    gradient_norm: float
    layer_gradient_norms: Mapping[str, float] = field(hash=False)
    first_to_last_gradient: float
    update_to_weight: float
    dead_units: float
    verdict: HealthVerdict

    def metrics(self) -> dict[str, float]:
        """The numbers, by name."""
        return {
            "gradient_norm": self.gradient_norm,
            "first_to_last_gradient": self.first_to_last_gradient,
            "update_to_weight": self.update_to_weight,
            "dead_units": self.dead_units,
            **{f"gradient_norm.{name}": norm for name, norm in self.layer_gradient_norms.items()},
        }


class HealthCheck:
    """Takes the measurements of an epoch from one model.

    Args:
        model: The model that trains.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        self._weights = {name: layer.weight for name, layer in layers}
        self._before: dict[str, Tensor] = {}
        self._numbers: Tensor | None = None
        self._dead: list[Tensor] = []

    def before_step(self) -> None:
        """Keeps the weights as they are before the epoch's last step."""
        self._before = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def after_step(self) -> None:
        """Measures the step and the gradient that it took."""
        gradients = [weight.grad for weight in self._model.parameters() if weight.grad is not None]
        layer_norms = [_gradient_norm(weight) for weight in self._weights.values()]
        ratios = [
            (weight - self._before[name]).norm() / self._before[name].norm().clamp(min=1e-12)
            for name, weight in self._weights.items()
        ]
        total = torch.stack(torch._foreach_norm(gradients)).norm()
        # One tensor, read when the epoch is over: an accelerator is not made to wait.
        self._numbers = torch.stack([total, torch.stack(ratios).median(), *layer_norms])
        self._before = {}

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Counts, in the first batch that goes through the model inside the block, the units that stay off."""
        self._dead = []
        hooks = [
            layer.register_forward_hook(self._count_dead) for layer in model.modules() if isinstance(layer, nn.ReLU)
        ]
        self._to_count = len(hooks)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _count_dead(self, layer: nn.Module, inputs: object, output: Tensor) -> None:
        del layer, inputs  # told by every hook
        if len(self._dead) < self._to_count:
            highest_C = output.flatten(2).amax((0, 2)) if output.ndim > 2 else output.amax(0)
            self._dead.append(highest_C <= 0)

    def conclude(self, *, epoch: int, diverged: bool, first_loss: float, train_loss: float) -> Health:
        """The measurements of the epoch with their verdict.

        Args:
            epoch: Its number, from 1.
            diverged: Whether training ended diverged.
            first_loss: Loss of the first step of the training.
            train_loss: Mean loss of the epoch.
        """
        if self._numbers is None:  # the epoch was broken off before its last step
            nan = math.nan
            return Health(nan, dict.fromkeys(self._weights, nan), nan, nan, nan, "diverged")
        norm, update_to_weight, *layer_norms = self._numbers.tolist()
        self._numbers = None
        units = torch.cat(self._dead) if self._dead else torch.zeros(1)
        dead_units = float(units.float().mean())
        ratio = layer_norms[0] / layer_norms[-1] if layer_norms[-1] > 0 else math.nan
        verdict: HealthVerdict = "healthy"
        if diverged:
            verdict = "diverged"
        elif not norm <= EXPLODING_NORM:
            verdict = "exploding"
        elif ratio < VANISHING_RATIO:
            verdict = "vanishing"
        elif dead_units > DEAD_SHARE:
            verdict = "dead"
        elif epoch >= STALLED_EPOCHS and not train_loss < STALLED_SHARE * first_loss:
            verdict = "stalled"
        norms = dict(zip(self._weights, layer_norms, strict=True))
        return Health(norm, norms, ratio, update_to_weight, dead_units, verdict)


def _gradient_norm(weight: Tensor) -> Tensor:
    return weight.new_zeros(()) if weight.grad is None else weight.grad.norm()
