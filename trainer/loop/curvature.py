"""The largest and smallest curvature of the loss where a training ended: sharp, flat, or a saddle.

Shapes: P numbers, all weights of the network in one row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

NUM_ITERATIONS = 20  # the ends of the spectrum converge first
SMALLEST_STEP = 1e-6
SADDLE_SHARE = 0.05


@dataclass(frozen=True)
class Curvature:
    """The ends of the Hessian's spectrum.

    Attributes:
        largest: Largest eigenvalue.
        smallest: Smallest eigenvalue, negative in a saddle.
    """

    largest: float
    smallest: float

    def kind(self, lr: float) -> Literal["saddle", "sharp", "flat"]:
        """In one word, by learning rate.

        Saddle where the smallest is clearly negative; sharp where gradient descent with this learning rate could not go
        down along the largest (above 2 / lr); else flat.

        Source: Cohen et al. 2021, section 2, https://arxiv.org/abs/2103.00065 (the edge of stability).
        """
        if self.smallest < -SADDLE_SHARE * abs(self.largest):
            return "saddle"
        return "sharp" if self.largest > 2 / lr else "flat"


def measure_curvature(loss: Callable[[], Tensor], weights: Sequence[Tensor], seed: int) -> Curvature:
    """The extreme eigenvalues of the Hessian of a loss, by Lanczos iterations on products with it.

    Source: Ghorbani, Krishnan and Xiao 2019, section 2 and algorithm 1 with full reorthogonalization,
    https://arxiv.org/abs/1901.10159.

    Args:
        loss: Computes the loss, the same each time, at the weights as they are.
        weights: What it is differentiated by.
        seed: Of the first vector.
    """
    gradients = torch.autograd.grad(loss(), weights, create_graph=True)
    gradient_P = torch.cat([each.flatten() for each in gradients])
    generator = torch.Generator().manual_seed(seed)
    vector_P = torch.randn(len(gradient_P), generator=generator).to(gradient_P)
    vectors: list[Tensor] = []
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(NUM_ITERATIONS, len(gradient_P))):
        vectors.append(vector_P / vector_P.norm())
        products = torch.autograd.grad(gradient_P, weights, vectors[-1], retain_graph=True, materialize_grads=True)
        vector_P = torch.cat([each.flatten() for each in products])
        diagonal.append(float(vector_P @ vectors[-1]))
        for _ in range(2):  # once is not enough in float32
            basis_MP = torch.stack(vectors)
            vector_P = vector_P - basis_MP.T @ (basis_MP @ vector_P)
        beside.append(float(vector_P.norm()))
        if not beside[-1] > SMALLEST_STEP * max(map(abs, diagonal)):
            break  # the vectors so far span all that the first one reaches
    tridiagonal = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    values = np.linalg.eigvalsh(tridiagonal)
    return Curvature(float(values[-1]), float(values[0]))
