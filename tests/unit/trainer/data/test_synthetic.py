import random

import numpy as np
import pytest

from trainer.data.synthetic import NUM_TEST, NUM_TRAIN, draw_synthetic


@pytest.fixture(scope="module")
def data():
    return draw_synthetic(2000, 500)


def measure_nearest_mean(features_train_ND, features_test_ND, data):
    """Accuracy of naming the class whose mean is nearest."""
    means_KD = np.array([features_train_ND[data.train_labels_N == label].mean(0) for label in range(10)])
    distances_NK = np.linalg.norm(features_test_ND[:, None] - means_KD, axis=2)
    return (distances_NK.argmin(1) == data.test_labels_N).mean()


def measure_nearest_image(features_train_ND, features_test_ND, data):
    """Accuracy of naming the class of the training image that is nearest."""
    products_NN = features_test_ND @ features_train_ND.T
    nearest_N = ((features_train_ND**2).sum(1) - 2 * products_NN).argmin(1)
    return (data.train_labels_N[nearest_N] == data.test_labels_N).mean()


def measure_difference_from_ground(images_NHWC):
    """How far each pixel's brightness is from that of the image's rim, 1 at most, one row per image."""
    grey_NHW = images_NHWC.mean(3)
    rims_NR = np.concatenate([grey_NHW[:, 0], grey_NHW[:, -1], grey_NHW[:, :, 0], grey_NHW[:, :, -1]], axis=1)
    differences_NHW = np.abs(grey_NHW - np.median(rims_NR, axis=1)[:, None, None])
    return (differences_NHW / differences_NHW.max((1, 2), keepdims=True)).reshape(len(grey_NHW), -1)


def test_images_are_rgb_bytes_of_32_pixels(data):
    assert data.train_images_NHWC.shape == (2000, 32, 32, 3)
    assert data.test_images_NHWC.shape == (500, 32, 32, 3)
    assert data.train_images_NHWC.dtype == data.test_images_NHWC.dtype == np.uint8
    assert data.train_labels_N.dtype == data.test_labels_N.dtype == np.int64


def test_ten_named_classes(data):
    assert data.name == "synthetic"
    assert len(data.classes) == 10
    assert {name.split("_")[0] for name in data.classes} == {"disc", "triangle", "square", "cross", "star"}
    assert {name.split("_")[1] for name in data.classes} == {"filled", "hollow"}


def test_the_same_to_the_bit_each_time(data):
    again = draw_synthetic(2000, 500)
    assert np.array_equal(again.train_images_NHWC, data.train_images_NHWC)
    assert np.array_equal(again.test_images_NHWC, data.test_images_NHWC)
    assert again.digest == data.digest


def test_global_generators_are_left_alone():
    def read_states():
        return np.random.get_state()[1].tolist(), np.random.get_state()[2], random.getstate()  # noqa: NPY002

    before = read_states()
    draw_synthetic(50, 20)
    assert read_states() == before


def test_classes_come_in_equal_numbers_and_mixed(data):
    assert np.bincount(data.train_labels_N).tolist() == [200] * 10
    assert np.bincount(data.test_labels_N).tolist() == [50] * 10
    assert (data.train_labels_N[10:] == data.train_labels_N[:-10]).mean() < 0.2  # all, if they came in turn


def test_whole_size_divides_by_the_classes():
    assert (NUM_TRAIN % 10, NUM_TEST % 10) == (0, 0)


def test_no_image_is_drawn_twice(data):
    images = [each.tobytes() for each in (*data.train_images_NHWC, *data.test_images_NHWC)]
    assert len(set(images)) == 2500


def test_train_and_test_have_the_same_colours_on_the_whole(data):
    means = [part.mean((0, 1, 2)) for part in (data.train_images_NHWC, data.test_images_NHWC)]
    assert np.abs(means[0] - means[1]).max() < 5


def test_train_and_test_differ_also_where_they_are_of_one_size():
    data = draw_synthetic(100, 100)
    assert not np.array_equal(data.train_labels_N, data.test_labels_N)
    assert (data.train_images_NHWC != data.test_images_NHWC).any((1, 2, 3)).all()


def test_classes_have_the_same_mean_colour(data):
    means_NC = data.train_images_NHWC.mean((1, 2))
    of_classes_KC = np.array([means_NC[data.train_labels_N == label].mean(0) for label in range(10)])
    standard_error_C = means_NC.std(0) / np.sqrt(200)
    assert (np.abs(of_classes_KC - means_NC.mean(0)) / standard_error_C).max() < 4


def test_the_mean_colour_does_not_tell_the_class(data):
    train, test = (part.mean((1, 2)) for part in (data.train_images_NHWC, data.test_images_NHWC))
    # 500 images at 10 %: three standard deviations are 4 %.
    assert measure_nearest_mean(train, test, data) < 0.15


def test_single_pixels_do_not_tell_the_class(data):
    train, test = (part.reshape(len(part), -1) / 255 for part in (data.train_images_NHWC, data.test_images_NHWC))
    assert measure_nearest_mean(train, test, data) < 0.2


def test_the_shape_tells_the_class(data):
    train_NP, test_NP = (
        measure_difference_from_ground(part) for part in (data.train_images_NHWC, data.test_images_NHWC)
    )
    assert measure_nearest_image(train_NP, test_NP, data) > 0.2  # chance: 0.1, standard error 0.013


def test_classes_survive_mirroring(data):
    # The nearest image is looked for among mirrored ones, and still tells the class.
    train_NP = measure_difference_from_ground(data.train_images_NHWC[:, :, ::-1])
    test_NP = measure_difference_from_ground(data.test_images_NHWC)
    assert measure_nearest_image(train_NP, test_NP, data) > 0.2  # chance: 0.1, standard error 0.013
