"""Batches of normalised images out of uint8 arrays, cropped and mirrored on the way.

Shapes: N images, B images of a batch, H = 32 rows, W = 32 columns, C = 3 channels.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.data.augmentation import Augmentation, change_colours
from trainer.data.dataset import SIDE_PIXELS

_CHUNK = 250  # images whose channels are added up at once: 250 * 255^2 is below 2^24


class ImageStore:
    """The images and labels of one part of a dataset, on the device that trains.

    On the CPU the arrays are used as they are, without a copy, also when they are read-only as in Ray's object store.

    Args:
        images_NHWC: uint8.
        labels_N: int64.
        device: Where batches are made.
    """

    def __init__(self, images_NHWC: NDArray[np.uint8], labels_N: NDArray[np.int64], device: torch.device) -> None:
        self.device = device
        self.images_NHWC = _to_tensor(images_NHWC).to(device)
        self.labels_N = _to_tensor(labels_N).to(device)
        self._pixels = torch.arange(SIDE_PIXELS, device=device)
        self._scale_P = self._shift_P = torch.empty(0)
        self._standardizes = False

    def measure_channels(self, indices_N: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the channels over some images, in units of a byte; exact up to rounding."""
        sums_P = torch.zeros(SIDE_PIXELS**2 * 3, dtype=torch.float64, device=self.device)
        squares_P = torch.zeros_like(sums_P)
        for chunk_N in torch.split(indices_N, _CHUNK):
            # Whole numbers below 2^24, which float32 adds without rounding, so that the result does not hang on the
            # order in which threads add. Pixel by pixel: sums over a last dimension of 3 take 70 times as long.
            values_NP = self.images_NHWC[chunk_N].flatten(1).float()
            sums_P += values_NP.sum(0)
            squares_P += values_NP.square_().sum(0)
        num_pixels = len(indices_N) * SIDE_PIXELS**2
        mean_C = sums_P.view(-1, 3).sum(0) / num_pixels
        variance_C = squares_P.view(-1, 3).sum(0) / num_pixels - mean_C.square()
        return mean_C.float(), variance_C.clamp(min=1.0).sqrt().float()

    def set_normalization(self, mean_C: Tensor, std_C: Tensor) -> None:
        """Makes every batch from now on have these means taken off the channels, and divided by these deviations."""
        # One number per byte of an image: a last dimension of 3 would be 10 times slower on the CPU.
        self._scale_P = (1 / std_C).repeat(SIDE_PIXELS**2)
        self._shift_P = (-mean_C / std_C).repeat(SIDE_PIXELS**2)

    def set_standardization(self) -> None:
        """Makes every image from now on be scaled by its own mean and standard deviation."""
        self._standardizes = True

    def build_batch(self, indices_B: Tensor) -> tuple[Tensor, Tensor]:
        """The images_BCHW (float32, channels last) and labels_B of some images as they are."""
        return self._normalize(self.images_NHWC.index_select(0, indices_B)), self.labels_N.index_select(0, indices_B)

    def build_augmented_batch(self, indices_B: Tensor, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
        """The images_BCHW (float32, channels last) and labels_B of some images, each with its augmentation.

        The crop is of an image that is padded by its own mirror image without the outermost pixels repeated, or by
        black, as one gather of pixels out of all images. Source: Jordan 2024, section 3.1,
        https://arxiv.org/abs/2404.00498, and `padding_mode` of torchvision's RandomCrop for the two ways. The
        blank square has the mean colour, and may reach past the edge. Source: DeVries and Taylor 2017, section 3,
        https://arxiv.org/abs/1708.04552.
        """
        shifts_B2, flips_B = augmentation.shifts_N2, augmentation.flips_N
        rows_BH = self._reflect(self._pixels + shifts_B2[:, :1])
        columns_BW = self._reflect(self._pixels + shifts_B2[:, 1:])
        columns_BW = torch.where(flips_B[:, None], columns_BW.flip(1), columns_BW)
        starts_BH = (indices_B[:, None] * SIDE_PIXELS + rows_BH) * SIDE_PIXELS
        pixels_M = (starts_BH[:, :, None] + columns_BW[:, None, :]).flatten()
        images_MC = self.images_NHWC.view(-1, 3).index_select(0, pixels_M)
        images_BHWC = images_MC.view(len(indices_B), SIDE_PIXELS, SIDE_PIXELS, 3)
        if augmentation.black_beyond:
            inside_B2P = self._pixels + shifts_B2[:, :, None]
            inside_B2P = (inside_B2P >= 0) & (inside_B2P < SIDE_PIXELS)
            columns_BP = torch.where(flips_B[:, None], inside_B2P[:, 1].flip(1), inside_B2P[:, 1])
            images_BHWC = images_BHWC * (inside_B2P[:, 0, :, None] & columns_BP[:, None])[..., None]
        if augmentation.colours_N3 is not None:
            images_BHWC = change_colours(images_BHWC.float(), augmentation.colours_N3)
        images_BCHW = self._normalize(images_BHWC)
        if augmentation.holes_N2 is not None:
            first_B2 = augmentation.holes_N2 - augmentation.hole_size // 2
            offsets_B2P = self._pixels - first_B2[:, :, None]
            inside_B2P = (offsets_B2P >= 0) & (offsets_B2P < augmentation.hole_size)
            images_BCHW.masked_fill_((inside_B2P[:, 0, :, None] & inside_B2P[:, 1, None, :])[:, None], 0.0)
        return images_BCHW, self.labels_N.index_select(0, indices_B)

    def _normalize(self, images_BHWC: Tensor) -> Tensor:
        values_BP = images_BHWC.flatten(1).float()
        if self._standardizes:
            values_BP = standardize_images(values_BP)
        else:
            values_BP = values_BP.mul(self._scale_P).add_(self._shift_P)
        return values_BP.view(images_BHWC.shape).permute(0, 3, 1, 2)

    @staticmethod
    def _reflect(positions: Tensor) -> Tensor:
        """Positions outside the image, mirrored at its first and last pixel."""
        last = SIDE_PIXELS - 1
        return last - (last - positions.abs()).abs()


def _to_tensor(array: NDArray[np.generic]) -> Tensor:
    with warnings.catch_warnings():
        # Arrays in Ray's object store are read-only, which torch remarks on; nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def standardize_images(values_BP: Tensor) -> Tensor:
    """Every image less its mean, divided by its standard deviation, all channels together.

    Source: TensorFlow's `per_image_standardization`, with its lower bound, one over the root of P, for plain images.
    """
    centred_BP = values_BP - values_BP.mean(1, keepdim=True)
    std_B1 = centred_BP.square().mean(1, keepdim=True).sqrt()
    return centred_BP / std_B1.clamp(min=values_BP.shape[1] ** -0.5)
