"""One optimizer under four names, for a sweep without a winner (equal_arms.yaml)."""

from __future__ import annotations

from collections.abc import Iterable

import torch


class First(torch.optim.SGD):
    """Nesterov's momentum, as the others are."""

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float = 0.01) -> None:
        super().__init__(params, lr=lr, momentum=0.9, nesterov=True)


class Second(First):
    """The same."""


class Third(First):
    """The same."""


class Fourth(First):
    """The same."""
