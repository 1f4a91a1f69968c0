import numpy as np
import pytest
import torch

from trainer.config import build_trial_config
from trainer.data.augmentation import Augmentation, change_colours, draw_augmentation, draw_mixing
from trainer.data.batches import ImageStore

CPU = torch.device("cpu")
MEAN, STD = (120.0, 110.5, 98.25), (60.0, 55.0, 71.5)


def draw_images(num_images=40):
    generator = np.random.default_rng(5)
    return (
        generator.integers(0, 256, (num_images, 32, 32, 3), dtype=np.uint8),
        generator.integers(0, 10, num_images),
    )


def build_store():
    store = ImageStore(*draw_images(), CPU)
    store.set_normalization(torch.tensor(MEAN), torch.tensor(STD))
    return store


def transcribe(image_HWC, shift_rows, shift_columns, flip, padding, mode):
    """One image: padded with its mirror image or black, cropped off the centre, mirrored, normalised; CHW."""
    padded = np.pad(image_HWC, ((padding, padding), (padding, padding), (0, 0)), mode=mode)
    top, left = padding + shift_rows, padding + shift_columns
    crop = padded[top : top + 32, left : left + 32]
    return ((crop[:, ::-1] if flip else crop) - np.array(MEAN)).transpose(2, 0, 1) / np.array(STD).reshape(3, 1, 1)


def check_augmented(indices, shifts, flips, padding, mode="reflect"):
    images_NHWC, labels_N = draw_images()
    augmentation = Augmentation(torch.tensor(shifts), torch.tensor(flips), black_beyond=mode == "constant")
    images_BCHW, labels_B = build_store().build_augmented_batch(torch.tensor(indices), augmentation)
    for index, (rows, columns), flip, image_CHW in zip(indices, shifts, flips, images_BCHW, strict=True):
        expected = transcribe(images_NHWC[index], rows, columns, flip, padding, mode)
        np.testing.assert_allclose(image_CHW.numpy(), expected, atol=1e-5)
    assert labels_B.tolist() == labels_N[indices].tolist()


def draw(num_images=1000, *, seed=0, crop_padding=4, flip=True, **others):
    config = build_trial_config({"seed": seed, "crop_padding": crop_padding, "flip": flip, **others})
    return draw_augmentation(config, 1, num_images, torch.Generator().manual_seed(seed), CPU)


def draw_with(generator, *, epoch=1, **settings):
    return draw_augmentation(build_trial_config(settings), epoch, 50, generator, CPU)


def leave_alone(num_images):
    """The augmentation that changes nothing."""
    return Augmentation(torch.zeros(num_images, 2, dtype=torch.int64), torch.zeros(num_images, dtype=torch.bool))


MODES = pytest.mark.parametrize("mode", ["reflect", "constant"])


@MODES
@pytest.mark.parametrize("crop_padding", [0, 1, 4, 16])
def test_augmented_batch_equals_padding_cropping_and_mirroring_one_by_one(crop_padding, mode):
    augmentation = draw(40, crop_padding=crop_padding)
    indices = np.random.default_rng(1).permutation(40).tolist()
    check_augmented(indices, augmentation.shifts_N2.tolist(), augmentation.flips_N.tolist(), crop_padding, mode)


@MODES
def test_augmented_batch_at_every_corner_of_the_largest_padding(mode):
    shifts = [(rows, columns) for rows in (-16, 0, 16) for columns in (-16, 0, 16)]
    check_augmented([7] * 18, shifts * 2, [False] * 9 + [True] * 9, 16, mode)


def test_the_padding_of_a_configuration_is_that_of_its_augmentation():
    assert draw(crop_padding_mode="constant")[0:3].black_beyond
    assert not draw()[0:3].black_beyond


def test_augmented_batch_without_augmentation_is_the_plain_batch():
    indices_B = torch.tensor([3, 3, 39, 0])
    store = build_store()
    plain, labels_B = store.build_batch(indices_B)
    augmented, augmented_labels_B = store.build_augmented_batch(indices_B, leave_alone(4))
    assert torch.equal(augmented, plain)
    assert torch.equal(augmented_labels_B, labels_B)


def cut_out(image_CHW, row, column, size):
    """One image with a square of zeros around a pixel, as much of it as lies inside."""
    holed_CHW = image_CHW.clone()
    for y in range(row - size // 2, row - size // 2 + size):
        for x in range(column - size // 2, column - size // 2 + size):
            if 0 <= y < 32 and 0 <= x < 32:
                holed_CHW[:, y, x] = 0
    return holed_CHW


@pytest.mark.parametrize("size", [1, 2, 7, 8, 31, 32])
def test_cutout_equals_blanking_pixel_by_pixel_also_past_every_edge(size):
    centres = [(row, column) for row in (0, 3, 16, 31) for column in (0, 15, 28, 31)]
    store, indices_B = build_store(), torch.arange(16)
    plain = draw(16)
    holed = Augmentation(plain.shifts_N2, plain.flips_N, torch.tensor(centres), size)
    images_BCHW, _ = store.build_augmented_batch(indices_B, plain)
    found_BCHW, _ = store.build_augmented_batch(indices_B, holed)
    for image_CHW, (row, column), found_CHW in zip(images_BCHW, centres, found_BCHW, strict=True):
        assert torch.equal(found_CHW, cut_out(image_CHW, row, column, size))


def test_a_blank_square_has_the_mean_colour():
    images_NHWC = np.broadcast_to(np.array([120, 110, 98], dtype=np.uint8), (1, 32, 32, 3)).copy()
    store = ImageStore(images_NHWC, np.zeros(1, dtype=np.int64), CPU)
    store.set_normalization(torch.tensor([120.0, 110.0, 98.0]), torch.tensor(STD))
    whole = leave_alone(1)
    holed = Augmentation(whole.shifts_N2, whole.flips_N, torch.tensor([[16, 16]]), 32)
    plain, blank = (store.build_augmented_batch(torch.tensor([0]), each)[0] for each in (whole, holed))
    torch.testing.assert_close(blank, plain, atol=1e-6, rtol=0)


def test_plain_batch_is_the_normalised_images():
    images_NHWC, labels_N = draw_images()
    indices = [5, 0, 39, 5]
    images_BCHW, labels_B = build_store().build_batch(torch.tensor(indices))
    expected = (images_NHWC[indices] - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(images_BCHW.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert labels_B.tolist() == labels_N[indices].tolist()


def test_batches_are_float32_and_channels_last():
    indices_B = torch.arange(6)
    plain, _ = build_store().build_batch(indices_B)
    augmented, _ = build_store().build_augmented_batch(indices_B, draw(6))
    with_holes, _ = build_store().build_augmented_batch(indices_B, draw(6, cutout_size=8))
    for images_BCHW in (plain, augmented, with_holes):
        assert images_BCHW.shape == (6, 3, 32, 32)
        assert images_BCHW.dtype == torch.float32
        assert images_BCHW.is_contiguous(memory_format=torch.channels_last)


def test_making_batches_leaves_the_images_alone():
    images_NHWC, labels_N = draw_images()
    store = ImageStore(images_NHWC, labels_N, CPU)
    store.set_normalization(*store.measure_channels(torch.arange(40)))
    store.build_batch(torch.arange(40))
    store.build_augmented_batch(torch.arange(40), draw(40, cutout_size=8))
    assert np.array_equal(images_NHWC, draw_images()[0])


def test_channels_are_measured_over_the_images_named_only():
    images_NHWC, labels_N = draw_images()
    images_NHWC[..., 1] //= 3
    images_NHWC[20:] = 255
    mean_C, std_C = ImageStore(images_NHWC, labels_N, CPU).measure_channels(torch.arange(20))
    np.testing.assert_allclose(mean_C.numpy(), images_NHWC[:20].mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std_C.numpy(), images_NHWC[:20].std((0, 1, 2)), rtol=1e-6)


def test_channels_are_exact_for_more_images_than_are_added_up_at_once():
    # White images have the greatest sums there are: 5,000 of them go far beyond what 32 bits hold.
    images_NHWC = np.full((5001, 32, 32, 3), 255, dtype=np.uint8)
    images_NHWC[::2, :, :, 0] = 0
    store = ImageStore(images_NHWC, np.zeros(5001, dtype=np.int64), CPU)
    mean_C, std_C = store.measure_channels(torch.arange(5000))
    assert mean_C.tolist() == [127.5, 255.0, 255.0]
    assert std_C[0].item() == 127.5


def test_channels_do_not_hang_on_the_order_of_images():
    store = build_store()
    straight = store.measure_channels(torch.arange(40))
    reverse = store.measure_channels(torch.arange(40).flip(0))
    assert torch.equal(torch.stack(straight), torch.stack(reverse))


def test_a_channel_without_contrast_is_not_divided_by_nothing():
    images_NHWC = np.full((4, 32, 32, 3), 200, dtype=np.uint8)
    store = ImageStore(images_NHWC, np.zeros(4, dtype=np.int64), CPU)
    mean_C, std_C = store.measure_channels(torch.arange(4))
    assert std_C.tolist() == [1.0, 1.0, 1.0]
    store.set_normalization(mean_C, std_C)
    assert store.build_batch(torch.arange(4))[0].abs().max() == 0


@pytest.fixture
def repeated_warnings():
    """Makes torch warn each time, not only the first time in a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("repeated_warnings")
def test_arrays_are_used_without_a_copy_also_when_they_are_read_only():
    images_NHWC, labels_N = draw_images()
    images_NHWC.setflags(write=False)
    labels_N.setflags(write=False)
    store = ImageStore(images_NHWC, labels_N, CPU)
    assert store.images_NHWC.data_ptr() == images_NHWC.ctypes.data
    assert store.labels_N.data_ptr() == labels_N.ctypes.data


def test_shifts_reach_the_padding_and_no_further():
    shifts_N2 = draw(crop_padding=3).shifts_N2
    assert shifts_N2.shape == (1000, 2)
    assert shifts_N2.dtype == torch.int64
    for axis in range(2):
        assert shifts_N2[:, axis].unique().tolist() == [-3, -2, -1, 0, 1, 2, 3]


def test_rows_and_columns_are_shifted_each_for_itself():
    shifts_N2 = draw(crop_padding=3).shifts_N2
    assert len(shifts_N2.unique(dim=0)) == 49


def test_no_padding_means_no_shift():
    assert not draw(crop_padding=0).shifts_N2.any()


def test_about_half_of_the_images_are_mirrored():
    flips_N = draw(flip=True).flips_N
    assert flips_N.dtype == torch.bool
    assert 400 < flips_N.sum() < 600


def test_flip_off_means_that_none_is_mirrored():
    assert not draw(flip=False).flips_N.any()


def test_flip_does_not_change_the_shifts_or_what_is_drawn_later():
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    on, off = (draw_with(generator, flip=flip) for flip, generator in zip((True, False), generators, strict=True))
    assert torch.equal(on.shifts_N2, off.shifts_N2)
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_holes_are_centred_on_every_row_and_column_each_for_itself():
    augmentation = draw(5000, cutout_size=9)
    assert augmentation.hole_size == 9
    assert augmentation.holes_N2.dtype == torch.int64
    for axis in range(2):
        assert augmentation.holes_N2[:, axis].unique().tolist() == list(range(32))
    assert len(augmentation.holes_N2.unique(dim=0)) > 900  # of 1,024


def test_cutout_does_not_change_the_shifts_and_flips_of_the_epoch():
    on, off = draw(cutout_size=8), draw(cutout_size=0)
    assert torch.equal(on.shifts_N2, off.shifts_N2)
    assert torch.equal(on.flips_N, off.flips_N)


@pytest.mark.parametrize("settings", [{}, {"cutout_size": 6}, {"brightness_jitter": 0.1, "cutout_size": 6}])
def test_shifts_and_flips_are_all_that_is_drawn_of_the_generator(settings):
    generators = [torch.Generator().manual_seed(0)]
    augmentation = draw_with(generators[0], **settings)
    assert (augmentation.holes_N2 is None) is ("cutout_size" not in settings)
    assert (augmentation.colours_N3 is None) is ("brightness_jitter" not in settings)
    torch.randint(-4, 5, (50, 2), generator=(again := torch.Generator().manual_seed(0)))
    torch.randint(2, (50,), generator=again, dtype=torch.bool)
    assert torch.equal(again.get_state(), generators[0].get_state())


@pytest.mark.parametrize("cutout_size", [0, 5])
def test_a_part_of_an_augmentation_is_that_of_those_images(cutout_size):
    augmentation, indices_B = draw(40, cutout_size=cutout_size), torch.arange(40)
    whole, _ = build_store().build_augmented_batch(indices_B, augmentation)
    parts = [slice(0, 15), slice(15, 30), slice(30, 45)]
    pieces = [build_store().build_augmented_batch(indices_B[part], augmentation[part])[0] for part in parts]
    assert torch.equal(torch.cat(pieces), whole)


def test_same_generator_state_same_draws():
    first, again, other = (draw(seed=seed, cutout_size=4) for seed in (1, 1, 2))
    for name in ("shifts_N2", "flips_N", "holes_N2"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_one_epoch_after_the_other_draws_anew():
    generator = torch.Generator().manual_seed(0)
    first, second = (draw_with(generator, epoch=epoch, cutout_size=4, contrast_jitter=0.5) for epoch in (1, 2))
    for name in ("shifts_N2", "flips_N", "holes_N2", "colours_N3"):
        assert not torch.equal(getattr(first, name), getattr(second, name))


def test_colours_are_changed_before_scaling_and_after_the_crop():
    augmentation = draw(40, brightness_jitter=0.2, saturation_jitter=0.5, contrast_jitter=0.8)
    plain = Augmentation(augmentation.shifts_N2, augmentation.flips_N)
    store, indices_B = build_store(), torch.arange(40)
    mean_C11, std_C11 = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    cropped_BCHW = store.build_augmented_batch(indices_B, plain)[0] * std_C11 + mean_C11
    changed_BHWC = change_colours(cropped_BCHW.permute(0, 2, 3, 1), augmentation.colours_N3)
    expected_BCHW = (changed_BHWC.permute(0, 3, 1, 2) - mean_C11) / std_C11
    torch.testing.assert_close(
        store.build_augmented_batch(indices_B, augmentation)[0], expected_BCHW, atol=1e-4, rtol=0
    )


def test_images_are_scaled_by_their_own_values_where_that_is_asked_for():
    store = build_store()
    store.set_standardization()
    augmentation = draw(40, contrast_jitter=0.5)
    for images_BCHW in (
        store.build_batch(torch.arange(40))[0],
        store.build_augmented_batch(torch.arange(40), augmentation)[0],
    ):
        torch.testing.assert_close(images_BCHW.mean((1, 2, 3)), torch.zeros(40), atol=1e-5, rtol=0)
        torch.testing.assert_close(images_BCHW.std((1, 2, 3), correction=0), torch.ones(40), atol=1e-4, rtol=0)


def draw_shares(num_steps=1000, *, epoch=1, **settings):
    return draw_mixing(build_trial_config({"mixup_alpha": 0.4, **settings}), epoch, num_steps)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 5.0])
def test_shares_of_mixup_are_of_the_beta_distribution(alpha):
    shares = np.array(draw_shares(4000, mixup_alpha=alpha))
    assert shares.min() >= 0
    assert shares.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    # Five standard deviations of the mean of 4,000 draws.
    assert shares.mean() == pytest.approx(0.5, abs=5 * (variance / 4000) ** 0.5)
    assert shares.var() == pytest.approx(variance, rel=0.1)


def test_shares_of_mixup_are_a_function_of_seed_and_epoch():
    first = draw_shares(20, seed=3, epoch=2)
    assert draw_shares(20, seed=3, epoch=2) == first
    assert draw_shares(10, seed=3, epoch=2) == first[:10]
    others = [draw_shares(20, seed=seed, epoch=epoch) for seed, epoch in ((3, 1), (2, 2), (32, 2))]
    assert all(set(other).isdisjoint(first) for other in others)


def test_shares_of_mixup_leave_global_generators_alone():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    draw_shares()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def test_without_mixup_there_are_no_shares():
    assert draw_shares(3, mixup_alpha=0) == [None, None, None]
