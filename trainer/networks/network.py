"""What every network is, and what wraps one of the user."""

from __future__ import annotations

from torch import Tensor, nn

from trainer.networks.layers import Dropout


class Network(nn.Module):
    """A classifier of 32x32 RGB images."""

    def penalty(self) -> Tensor | None:
        """What the training loss gains beside the loss of the images, None for nothing."""
        return None

    def seed_dropout(self, seed: int, step: int) -> None:
        """Makes the masks that dropout draws from now on a function of seed and step alone.

        To be called before each evaluation of a gradient. All evaluations that an optimizer asks for within a step
        then have the same masks, and are of the same function; parts of a batch that go through the network one after
        the other within an evaluation have masks of their own.

        Args:
            seed: Of the run.
            step: Steps of the run before this one.
        """
        layers = (layer for layer in self.modules() if isinstance(layer, Dropout))
        for index, layer in enumerate(layers):
            layer.set_key(f"{seed}/dropout {index}/{step}")


class Wrapped(Network):
    """A network of the user's, whatever class it has.

    Args:
        module: From images_NCHW to logits_NK.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of a batch of normalised images."""
        logits_NK: Tensor = self.module(images_NCHW)
        return logits_NK
