"""Picture files to arrays of one size, by what each mode of a picture means.

Shapes: N images, H = 32 rows, W = 32 columns, C = 3 channels.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import SIDE_PIXELS
from trainer.data.progress import Tell, tell_nobody

if TYPE_CHECKING:
    from PIL.Image import Image

_OF_8_BITS = frozenset(("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV"))
_OF_16_BITS = frozenset(("I;16", "I;16B", "I;16L", "I;16N"))
_TOLD_EACH = 500  # images


class UnknownRange(ValueError):
    """A picture whose numbers cannot be read as brightness; the message names its mode."""


def decode_pictures(paths: Sequence[str], tell: Tell = tell_nobody) -> tuple[NDArray[np.uint8], list[tuple[str, str]]]:
    """The images (NHWC) in order, and (path, reason) of those that cannot be read.

    Args:
        paths: Picture files.
        tell: Takes how many have been decoded.
    """
    from PIL import Image

    # Pillow raises SyntaxError for some broken PNG files and struct.error for some broken EXIF tags.
    unreadable = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
    images_NHWC = np.empty((len(paths), SIDE_PIXELS, SIDE_PIXELS, 3), dtype=np.uint8)

    def decode_one(index: int) -> tuple[str, str] | None:
        if index and index % _TOLD_EACH == 0:
            tell(f"{index:,} of {len(paths):,} images")
        try:
            images_NHWC[index] = _decode_file(paths[index])
        except unreadable as error:
            return paths[index], str(error).split(" '/")[0] or type(error).__name__
        return None

    # Pillow lets go of the interpreter's lock while it decodes and resizes, so threads use all cores.
    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd EXIF tags and palettes, of no use to the reader
        return images_NHWC, [fault for fault in threads.map(decode_one, range(len(paths)), chunksize=256) if fault]


def _decode_file(path: str) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    size = (SIDE_PIXELS, SIDE_PIXELS)
    with Image.open(path) as file:
        file.draft("RGB", size)  # lets JPEG skip detail far below the size that is wanted
        ImageOps.exif_transpose(file, in_place=True)
        image = _to_8_bits(file)
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _to_8_bits(image: Image) -> Image:
    """The picture with 8 bits to a channel; Pillow's own conversion of more makes all above 255 white, floats black.

    Raises:
        UnknownRange: Its mode does not say which number is white.
    """
    from PIL.Image import fromarray

    mode = image.mode
    if mode in _OF_8_BITS:
        return image
    if mode in _OF_16_BITS or (mode == "I" and image.format == "PPM"):  # which Pillow scales to 16 bits
        return fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if mode == "F":
        return fromarray(_scale_floats(np.asarray(image)))
    what = "32-bit whole numbers, which do not say what is white" if mode == "I" else "which is not known here"
    raise UnknownRange(f"mode {mode}: {what}; save it with 8 or 16 bits to a channel")


def _scale_floats(grey_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(np.min(grey_HW)), float(np.max(grey_HW))
    if not (low >= 0 and high <= 1):  # nor NaN
        raise UnknownRange(f"mode F: floats from {low:g} to {high:g}, allowed: from 0 to 1; save it with 8 bits")
    return np.rint(grey_HW * 255).astype(np.uint8)


def is_plain(images_NHWC: NDArray[np.uint8]) -> bool:
    """Whether there are several images, each of the same single colour: nothing can be learnt from them."""
    return len(images_NHWC) > 1 and bool((images_NHWC == images_NHWC[0, 0, 0]).all())
