"""One training run on CIFAR-10 or the like: settings, images, loop, checkpoints; `train_model` from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.api import TrainedModel, train_model

__all__ = ["TrainedModel", "train_model"]


def __getattr__(name: str) -> object:
    # On first use only: they need torch, which takes seconds to import; `trainer.config` has to load without it.
    if name in __all__:
        from trainer import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
