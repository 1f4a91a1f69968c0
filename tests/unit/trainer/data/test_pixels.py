import colorsys

import numpy as np
import pytest
import torch

from trainer.data.augmentation import change_colours, draw_colours
from trainer.data.batches import standardize_images


def draw_images(num_images=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images_BHWC = torch.randint(256, (num_images, 5, 6, 3), generator=generator).float()
    images_BHWC[0] = images_BHWC[0, :, :, :1]  # grey
    images_BHWC[1] = 0
    return images_BHWC


def change(images_BHWC, *, shift=0.0, saturation=1.0, contrast=1.0):
    return change_colours(images_BHWC, torch.tensor([[shift, saturation, contrast]]).expand(len(images_BHWC), 3))


def test_nothing_changes_in_the_middle_of_the_ranges():
    images_BHWC = draw_images()
    torch.testing.assert_close(change(images_BHWC), images_BHWC, atol=1e-3, rtol=0)


def test_brightness_shifts_all_channels():
    torch.testing.assert_close(change(draw_images(), shift=7.5), draw_images() + 7.5, atol=1e-3, rtol=0)


@pytest.mark.parametrize("saturation", [0.0, 0.5, 1.3, 2.0])
def test_saturation_equals_pythons_hsv(saturation):
    images_BHWC = draw_images()
    changed = change(images_BHWC, saturation=saturation).reshape(-1, 3).tolist()
    for pixel, found in zip(images_BHWC.reshape(-1, 3).tolist(), changed, strict=True):
        hue, old, value = colorsys.rgb_to_hsv(*pixel)
        np.testing.assert_allclose(found, colorsys.hsv_to_rgb(hue, min(1.0, old * saturation), value), atol=1e-3)


def test_pixels_made_darker_than_black_turn_grey_as_in_tensorflow():
    dark = torch.tensor([-30.0, -10.0, -5.0]).expand(1, 2, 2, 3)
    assert torch.equal(change(dark, saturation=1.5), torch.full((1, 2, 2, 3), -5.0))


@pytest.mark.parametrize("contrast", [0.2, 1.8])
def test_contrast_is_about_each_channels_mean_over_the_image(contrast):
    images_BHWC = draw_images()
    mean = images_BHWC.numpy().mean((1, 2), keepdims=True)
    expected = (images_BHWC.numpy() - mean) * contrast + mean
    np.testing.assert_allclose(change(images_BHWC, contrast=contrast).numpy(), expected, atol=1e-3)


def test_each_image_has_its_own_change():
    images_BHWC = draw_images()
    colours_B3 = torch.tensor([[0, 1, 1], [9, 0.5, 1], [0, 1.5, 0.3], [-20, 1, 1.7]])
    together = change_colours(images_BHWC, colours_B3)
    alone = [change_colours(images_BHWC[i : i + 1], colours_B3[i : i + 1]) for i in range(4)]
    assert torch.equal(together, torch.cat(alone))


def test_draws_are_even_within_their_ranges():
    generator = torch.Generator().manual_seed(0)
    colours_N3 = draw_colours(20_000, brightness=0.2, saturation=0.5, contrast=0.8, generator=generator)
    for index, (low, high) in enumerate([(-51.0, 51.0), (0.5, 1.5), (0.2, 1.8)]):
        values = ((colours_N3[:, index] - low) / (high - low)).numpy()
        assert values.min() >= 0
        assert values.max() <= 1
        counts, _ = np.histogram(values, bins=10, range=(0, 1))
        assert counts.min() > 1_800


def test_what_is_off_is_drawn_as_no_change():
    colours_N3 = draw_colours(9, brightness=0, saturation=0, contrast=0.5, generator=torch.Generator())
    assert torch.equal(colours_N3[:, 0], torch.zeros(9))
    assert torch.equal(colours_N3[:, 1], torch.ones(9))
    assert len(colours_N3[:, 2].unique()) == 9


def test_standardized_images_have_mean_0_and_deviation_1_and_plain_ones_stay_finite():
    values_BP = draw_images().flatten(1)
    found = standardize_images(values_BP).numpy()
    expected = (values_BP[2] - values_BP[2].mean()) / values_BP[2].std(correction=0)
    np.testing.assert_allclose(found[2], expected, atol=1e-5)
    assert (found[1] == 0).all()
    nearly_plain = torch.zeros(1, 100)
    nearly_plain[0, 0] = 0.01
    assert abs(float(standardize_images(nearly_plain)[0, 0])) == pytest.approx(0.0099 * 10, rel=1e-3)
