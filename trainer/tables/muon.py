"""Muon for networks with convolutions: orthogonal momentum for matrices, Adam for all other weights.

Shapes: R rows (outputs of a layer), C columns (its inputs, times the kernel's size).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NUM_ITERATIONS = 5
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of Adam


class Muon(torch.optim.Optimizer):
    """Weights with two or more axes take orthogonal steps with Nesterov momentum, all others Adam's.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/, with the learning rate's factor for tall
    matrices, sqrt(max(1, R / C)), and decoupled weight decay. The iteration runs in fp32, so it repeats to the bit.

    Args:
        parameters: The weights, of any shapes.
        lr: Learning rate of matrices.
        momentum: Decay rate of the sum of gradients.
        vector_lr: Learning rate of all other weights; both groups follow the schedule alike, through `lr_scale`.
        weight_decay: Times the learning rate, the share that a weight loses in each step.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, lr: float, momentum: float, vector_lr: float, weight_decay: float
    ) -> None:
        weights = list(parameters)
        groups = [
            {"params": [each for each in weights if each.ndim >= 2], "lr": lr, "lr_scale": 1.0, "is_matrix": True},
            {
                "params": [each for each in weights if each.ndim < 2],
                "lr": vector_lr,
                "lr_scale": vector_lr / lr,
                "is_matrix": False,
            },
        ]
        super().__init__(
            [group for group in groups if group["params"]], {"momentum": momentum, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Changes the weights once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._find_matrix_step if group["is_matrix"] else self._find_vector_step
            for weight in group["params"]:
                if weight.grad is not None:
                    step = update(weight, weight.grad, group)
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(step, alpha=-group["lr"])
        return loss

    def _find_matrix_step(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state, momentum = self.state[weight], group["momentum"]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        state["mean"].lerp_(gradient, 1 - momentum)
        looked_ahead = gradient.lerp(state["mean"], momentum)
        step_RC = orthogonalize(looked_ahead.flatten(1))
        num_rows, num_columns = step_RC.shape
        return step_RC.view(weight.shape) * math.sqrt(max(1.0, num_rows / num_columns))

    def _find_vector_step(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        del group
        state, (beta1, beta2) = self.state[weight], _BETAS
        if not state:
            state.update(step=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - beta1)
        state["square"].lerp_(gradient.square(), 1 - beta2)
        mean: Tensor = state["mean"] / (1 - beta1 ** state["step"])
        square: Tensor = state["square"] / (1 - beta2 ** state["step"])
        return mean / (square.sqrt() + _EPSILON)


def orthogonalize(matrix_RC: Tensor) -> Tensor:
    """About U V^T of the singular value decomposition U S V^T, by five steps of a Newton-Schulz iteration.

    The singular values of what it returns lie between about 0.7 and 1.2 where those of the matrix are not tiny.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrix_RC.shape[0] > matrix_RC.shape[1]
    x: Tensor = matrix_RC.T if is_tall else matrix_RC
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_NUM_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if is_tall else x
