"""What each mode of a picture means."""

import numpy as np
import pytest
from PIL import Image

from trainer.data.dataset import SIDE_PIXELS
from trainer.data.pictures import decode_pictures, is_plain

SHAPE = (SIDE_PIXELS, SIDE_PIXELS)
RAMP = np.linspace(0, 1, SIDE_PIXELS * SIDE_PIXELS).reshape(SHAPE)


def decode(path):
    images_NHWC, faults = decode_pictures([str(path)])
    return images_NHWC[0], [reason for _, reason in faults]


def save_pgm_of_16_bits(path):
    pixels = (RAMP * 65535).astype(">u2")
    path.write_bytes(b"P5 32 32 65535\n" + pixels.tobytes())


SAVE = {
    "float.tif": lambda path: Image.fromarray(RAMP.astype(np.float32)).save(path),
    "deep.png": lambda path: Image.fromarray((RAMP * 65535).astype(np.uint16)).save(path),
    "deep.tif": lambda path: Image.fromarray((RAMP * 65535).astype(np.uint16)).save(path),
    "deep.ppm": save_pgm_of_16_bits,
    "grey.png": lambda path: Image.fromarray((RAMP * 255).astype(np.uint8)).save(path),
    "alpha.png": lambda path: Image.fromarray((RAMP * 255).astype(np.uint8)).convert("LA").save(path),
    "cmyk.tif": lambda path: Image.fromarray((RAMP * 255).astype(np.uint8)).convert("RGB").convert("CMYK").save(path),
    "ycbcr.tif": lambda path: Image.fromarray((RAMP * 255).astype(np.uint8)).convert("YCbCr").save(path),
}


@pytest.mark.parametrize("name", SAVE)
def test_a_ramp_from_black_to_white_is_one_in_every_mode(tmp_path, name):
    SAVE[name](tmp_path / name)
    image_HWC, faults = decode(tmp_path / name)
    assert faults == []
    assert np.abs(image_HWC.astype(int) - np.rint(RAMP * 255).astype(int)[..., None]).max() <= 2


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (RAMP.astype(np.float32) * 255, "mode F: floats from 0 to 255, allowed: from 0 to 1; save it with 8 bits"),
        (RAMP.astype(np.float32) - 0.5, "mode F: floats from -0.5 to 0.5, allowed: from 0 to 1; save it with 8 bits"),
        (np.full(SHAPE, np.nan, np.float32), "mode F: floats from nan to nan, allowed: from 0 to 1"),
        (
            (RAMP * 2**30).astype(np.int32),
            "mode I: 32-bit whole numbers, which do not say what is white; save it with 8 or 16 bits to a channel",
        ),
    ],
)
def test_numbers_that_are_no_brightness_are_a_fault_that_names_the_mode(tmp_path, pixels, reason):
    Image.fromarray(pixels).save(tmp_path / "0.tif")
    _, (found,) = decode(tmp_path / "0.tif")
    assert found.startswith(reason)


def test_a_mode_that_is_not_known_is_a_fault(tmp_path):
    Image.new("LAB", SHAPE).save(tmp_path / "0.tif")
    _, faults = decode(tmp_path / "0.tif")
    assert faults == ["mode LAB: which is not known here; save it with 8 or 16 bits to a channel"]


def test_what_is_plain():
    images_NHWC = np.zeros((3, 4, 4, 3), np.uint8)
    assert is_plain(images_NHWC)
    assert not is_plain(images_NHWC[:1])
    images_NHWC[1] = 7
    assert not is_plain(images_NHWC)
