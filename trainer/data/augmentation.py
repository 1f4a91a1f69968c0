"""Random changes of a whole batch of images at once: crops, mirrors, cut-outs, colours, mixing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainer.config import TrialConfig
from trainer.data.dataset import SIDE_PIXELS
from trainer.randomness import build_generator, stream_seed


@dataclass(frozen=True)
class Augmentation:
    """How each image of an epoch is changed before it is trained on.

    Attributes:
        shifts_N2: int64, rows and columns by which the crop lies off the image's centre.
        flips_N: bool, whether the crop is mirrored left to right.
        holes_N2: int64, row and column of the centre of the square that is blanked out; None for none.
        hole_size: Its side, in pixels.
        colours_N3: What is done to the colours, as `change_colours` takes it; None for nothing.
        black_beyond: Whether the crop is black beyond the image's edge instead of its mirror image.
    """

    shifts_N2: Tensor
    flips_N: Tensor
    holes_N2: Tensor | None = None
    hole_size: int = 0
    colours_N3: Tensor | None = None
    black_beyond: bool = False

    def __getitem__(self, chosen: slice) -> Augmentation:
        """The part of it for some of the images."""
        holes_N2 = None if self.holes_N2 is None else self.holes_N2[chosen]
        colours_N3 = None if self.colours_N3 is None else self.colours_N3[chosen]
        return replace(
            self,
            shifts_N2=self.shifts_N2[chosen],
            flips_N=self.flips_N[chosen],
            holes_N2=holes_N2,
            colours_N3=colours_N3,
        )


def draw_augmentation(
    config: TrialConfig, epoch: int, num_images: int, generator: torch.Generator, device: torch.device
) -> Augmentation:
    """Draws the augmentation of an epoch on the CPU, the same for every device and batch size.

    Args:
        config: Says what is done, and the seed.
        epoch: Counts from 1; holes and colours have a stream of their own for each, so that they change nothing else.
        num_images: N.
        generator: Of shifts and mirrorings, which are drawn whether they are wanted or not.
        device: Where the batches are made.
    """
    padding = config.crop_padding
    shifts_N2 = torch.randint(-padding, padding + 1, (num_images, 2), generator=generator)
    flips_N = torch.randint(2, (num_images,), generator=generator, dtype=torch.bool)
    flips_N &= config.flip
    holes_N2 = colours_N3 = None
    if config.cutout_size:
        own = build_generator(config.seed, "cutout", epoch)
        holes_N2 = torch.randint(SIDE_PIXELS, (num_images, 2), generator=own).to(device)
    if config.brightness_jitter or config.saturation_jitter or config.contrast_jitter:
        colours_N3 = draw_colours(
            num_images,
            brightness=config.brightness_jitter,
            saturation=config.saturation_jitter,
            contrast=config.contrast_jitter,
            generator=build_generator(config.seed, "colours", epoch),
        ).to(device)
    black_beyond = config.crop_padding_mode == "constant"
    return Augmentation(
        shifts_N2.to(device), flips_N.to(device), holes_N2, config.cutout_size, colours_N3, black_beyond
    )


def draw_mixing(config: TrialConfig, epoch: int, num_steps: int) -> list[float] | list[None]:
    """For each step of an epoch the share of each image that is its own under mixup; None where that is off."""
    if not config.mixup_alpha:
        return [None] * num_steps
    rng = np.random.default_rng(stream_seed(config.seed, "mixup", epoch))
    shares_S: list[float] = rng.beta(config.mixup_alpha, config.mixup_alpha, num_steps).tolist()
    return shares_S


_FULL_RANGE = 255.0


def draw_colours(
    num_images: int, *, brightness: float, saturation: float, contrast: float, generator: torch.Generator
) -> Tensor:
    """Draws colours_N3 for `change_colours`, each even within its range around what changes nothing.

    Args:
        num_images: N.
        brightness: Most that is added or taken away, as a fraction of the full range.
        saturation: Most that the factor of the saturation is away from 1.
        contrast: Most that the factor of the contrast is away from 1.
        generator: On the CPU.
    """
    reach_3 = torch.tensor([_FULL_RANGE * brightness, saturation, contrast])
    middle_3 = torch.tensor([0.0, 1.0, 1.0])
    return (2 * torch.rand(num_images, 3, generator=generator) - 1) * reach_3 + middle_3


def change_colours(images_BHWC: Tensor, colours_B3: Tensor) -> Tensor:
    """Images with brightness, saturation and contrast changed, in this order; nothing is cut off at 0 or 255.

    Saturation keeps hue and value of the HSV colour space. Contrast moves every pixel away from, or towards, its
    channel's mean over the image. Source: `adjust_brightness`, `adjust_saturation` and `adjust_contrast` of
    TensorFlow's tf.image, which DeepOBS uses.

    Args:
        images_BHWC: float32, channels from 0 to 255.
        colours_B3: What `draw_colours` drew.
    """
    shift_B, saturation_B, contrast_B = (colour_B[:, None, None, None] for colour_B in colours_B3.unbind(1))
    images_BHWC = images_BHWC + shift_B
    first, second, third = torch.split(images_BHWC, 1, dim=3)
    value_BHW1 = torch.maximum(torch.maximum(first, second), third)
    range_BHW1 = value_BHW1 - torch.minimum(torch.minimum(first, second), third)
    # The saturation is range / value, and at most 1.
    factor_BHW1 = torch.minimum(saturation_B, value_BHW1.clamp(min=0) / range_BHW1.clamp(min=1e-6))
    images_BHWC = value_BHW1 - (value_BHW1 - images_BHWC) * factor_BHW1
    mean_B11C = images_BHWC.mean((1, 2), keepdim=True)
    return (images_BHWC - mean_B11C) * contrast_B + mean_B11C
