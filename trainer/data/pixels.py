"""What is done to the values of a picture's pixels: colours changed at random, and scaling by the picture's own mean.

Shapes: B pictures of a batch, H rows, W columns, C = 3 channels, P values of a picture.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FULL_RANGE = 255.0


def draw_colours(
    num_pictures: int, *, brightness: float, saturation: float, contrast: float, generator: torch.Generator
) -> Tensor:
    """Draws colours_N3 for `change_colours`, each even within its range around what changes nothing.

    Args:
        num_pictures: N.
        brightness: Most that is added or taken away, as a fraction of the full range.
        saturation: Most that the factor of the saturation is away from 1.
        contrast: Most that the factor of the contrast is away from 1.
        generator: On the CPU.
    """
    reach_3 = torch.tensor([_FULL_RANGE * brightness, saturation, contrast])
    middle_3 = torch.tensor([0.0, 1.0, 1.0])
    return (2 * torch.rand(num_pictures, 3, generator=generator) - 1) * reach_3 + middle_3


def change_colours(images_BHWC: Tensor, colours_B3: Tensor) -> Tensor:
    """Pictures with brightness, saturation and contrast changed, in this order; nothing is cut off at 0 or 255.

    Saturation keeps hue and value of the HSV colour space. Contrast moves every pixel away from, or towards, its
    channel's mean over the picture. Source: `adjust_brightness`, `adjust_saturation` and `adjust_contrast` of
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


def standardize_pictures(values_BP: Tensor) -> Tensor:
    """Every picture less its mean, divided by its standard deviation, all channels together.

    Source: TensorFlow's `per_image_standardization`, with its lower bound, one over the root of P, for plain pictures.
    """
    centred_BP = values_BP - values_BP.mean(1, keepdim=True)
    std_B1 = centred_BP.square().mean(1, keepdim=True).sqrt()
    return centred_BP / std_B1.clamp(min=values_BP.shape[1] ** -0.5)
