"""Parts that networks are made of: widths, activations, normalisation, dropout.

Shapes: N images, C channels, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.randomness import build_generator

_MAX_GROUPS = 32
_MIN_GROUP_CHANNELS = 4


def scale_channels(num_channels: int, width: float) -> int:
    """The channels that a width leaves of some: the product, rounded to a multiple of 4, at least 4."""
    return max(4, 4 * round(width * num_channels / 4))


def build_activation(name: str) -> nn.Module:
    """The activation of that name: relu, tanh or gelu (the exact one, by the error function)."""
    if name == "relu":
        return nn.ReLU(inplace=True)
    return nn.Tanh() if name == "tanh" else nn.GELU()


def build_normalization(name: str, num_channels: int) -> list[nn.Module]:
    """The layers that normalise images of so many channels: batch or group normalisation, for "none" no layer.

    Both have a scale and a shift per channel, so a convolution before them needs no bias, and one before none does.
    """
    if name == "none":
        return []
    if name == "batch":
        return [nn.BatchNorm2d(num_channels)]
    return [nn.GroupNorm(count_groups(num_channels), num_channels)]


def count_groups(num_channels: int) -> int:
    """The groups of group normalisation: as many equal ones as there can be, up to 32, of at least 4 channels each.

    Where nothing divides them so, one group of all channels.

    Source: Wu and He 2018, section 3, https://arxiv.org/abs/1803.08494, whose groups are 32 by default. The least of 4
    channels is ours: 32 groups would be single channels in the narrow stages here, which is instance normalisation.
    """
    counts = range(1, _MAX_GROUPS + 1)
    fitting = (n for n in counts if num_channels % n == 0 and num_channels // n >= _MIN_GROUP_CHANNELS)
    return max(fitting, default=1)


def build_dropout(rate: float) -> list[nn.Module]:
    """The layer that drops features at a rate, for rate 0 no layer."""
    return [Dropout(rate)] if rate else []


class Dropout(nn.Module):
    """In training, sets each feature to zero with a probability and divides the others by one minus it.

    `torch.nn.Dropout` draws from torch's global generator. Here each mask is a function of the key and of how many
    masks were drawn since it was set, so there is no state to keep between steps, and no generator to copy. Masks are
    drawn where the features are: they differ between kinds of device, as sums of floats do, and nothing waits for an
    accelerator.

    Source: Srivastava et al. 2014, section 4, https://jmlr.org/papers/v15/srivastava14a.html; scaled in training
    instead of in evaluation, as torch does.

    Args:
        rate: Probability of zero, above 0 and below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._key: str | None = None
        self._num_masks = 0

    def set_key(self, key: str) -> None:
        """Starts the sequence of masks that belongs to a key."""
        self._key = key
        self._num_masks = 0

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch would compile it anew for each key
    def forward(self, features_NF: Tensor) -> Tensor:
        """The features_NF that are left, in evaluation all.

        Raises:
            RuntimeError: In training, when no key has been set.
        """
        if not self.training:
            return features_NF
        if self._key is None:
            raise RuntimeError("dropout has no key to draw masks by; call seed_dropout on the network before training")
        generator = build_generator(self._key, self._num_masks, device=features_NF.device)
        self._num_masks += 1
        kept_NF = torch.rand(features_NF.shape, generator=generator, device=features_NF.device) >= self.rate
        return features_NF * kept_NF.to(features_NF.dtype) / (1 - self.rate)
