import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.dataset import DataUnavailable, build_dataset, build_split, split_for_training
from trainer.data.load import find_most_bytes, load_dataset
from trainer.tables.settings import ConfigError

# Three classes of unequal size, mixed.
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [200, 90, 37]))


def count(labels_N, indices_N):
    return np.bincount(labels_N[indices_N], minlength=3).tolist()


def build_small(**changes):
    generator = np.random.default_rng(3)
    parts = {
        "name": "imagefolder",
        "classes": ("cat", "dog"),
        "train_images_NHWC": generator.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8),
        "train_labels_N": np.arange(20) % 2,
        "test_images_NHWC": generator.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
        "test_labels_N": np.arange(4) % 2,
    }
    return build_dataset(**{**parts, **changes})


def test_every_image_either_trains_or_validates():
    split = build_split(LABELS)
    both = np.concatenate([split.train_indices_N, split.validation_indices_N])
    assert sorted(both.tolist()) == list(range(len(LABELS)))


def test_a_tenth_of_every_class_validates():
    split = build_split(LABELS)
    assert count(LABELS, split.validation_indices_N) == [20, 9, 4]
    assert count(LABELS, split.train_indices_N) == [180, 81, 33]


def test_validation_fraction_is_of_every_class():
    assert count(LABELS, build_split(LABELS, validation_fraction=0.5).validation_indices_N) == [100, 45, 18]


def test_a_small_class_validates_with_one_image():
    labels_N = np.array([0] * 30 + [1, 1])
    split = build_split(labels_N)
    assert np.bincount(labels_N[split.validation_indices_N]).tolist() == [3, 1]
    assert np.bincount(labels_N[split.train_indices_N]).tolist() == [27, 1]


def test_indices_ascend_and_are_int64():
    split = build_split(LABELS, train_size=50)
    for indices_N in (split.train_indices_N, split.validation_indices_N):
        assert indices_N.dtype == np.int64
        assert (np.diff(indices_N) > 0).all()


def test_the_shape_of_cifar10_splits_into_45000_and_5000():
    labels_N = np.random.default_rng(1).permutation(np.arange(50_000) % 10)
    split = build_split(labels_N)
    assert (len(split.train_indices_N), len(split.validation_indices_N)) == (45_000, 5_000)
    assert np.bincount(labels_N[split.validation_indices_N]).tolist() == [500] * 10
    assert np.bincount(labels_N[split.train_indices_N]).tolist() == [4_500] * 10


def test_the_split_is_the_same_in_every_sweep_and_version():
    # Written down once: results of different days are compared on the same images only while these stay.
    split = build_split(np.arange(1000) % 10)
    assert split.digest == build_split(np.arange(1000) % 10).digest
    assert split.digest == "9a1454f79766dfbfb20b1762d7024667103d8d51249ada9be0c3b31d9a186880"
    assert build_split(np.arange(1000) % 10, train_size=10).train_indices_N.tolist() == [
        193,
        232,
        405,
        514,
        558,
        559,
        606,
        830,
        857,
        911,
    ]
    assert split.validation_indices_N[:10].tolist() == [19, 23, 27, 29, 45, 47, 50, 52, 67, 69]


def test_images_are_picked_at_random_not_from_the_front():
    validation_N = build_split(np.arange(1000) % 10).validation_indices_N
    assert 400 < validation_N.mean() < 600
    assert validation_N.min() < 100
    assert validation_N.max() >= 900


def test_another_split_seed_is_another_split():
    one, other = build_split(LABELS, seed=1), build_split(LABELS, seed=2)
    assert one.digest != other.digest
    assert not np.array_equal(one.validation_indices_N, other.validation_indices_N)


def test_other_labels_are_another_split():
    assert build_split(LABELS).digest != build_split(np.roll(LABELS, 1)).digest


@pytest.mark.parametrize("train_size", [1, 2, 10, 100, 293, 294])
def test_the_same_images_validate_whatever_the_train_size(train_size):
    split, whole = build_split(LABELS, train_size=train_size), build_split(LABELS)
    assert np.array_equal(split.validation_indices_N, whole.validation_indices_N)
    assert split.digest == whole.digest
    assert len(split.train_indices_N) == train_size
    assert not set(split.train_indices_N.tolist()) & set(split.validation_indices_N.tolist())


def test_a_smaller_training_part_lies_within_a_larger_one():
    parts = [build_split(LABELS, train_size=size).train_indices_N.tolist() for size in range(1, 295)]
    for smaller, larger in itertools.pairwise(parts):
        assert set(smaller) < set(larger)


@pytest.mark.parametrize(
    # Of 294 images to train on, 180, 81 and 33 are of the three classes.
    ("train_size", "counts"),
    [(98, [60, 27, 11]), (196, [120, 54, 22]), (3, [2, 1, 0]), (1, [1, 0, 0]), (294, [180, 81, 33])],
)
def test_classes_keep_their_shares(train_size, counts):
    assert count(LABELS, build_split(LABELS, train_size=train_size).train_indices_N) == counts


@settings(deadline=None)
@given(
    class_sizes=st.lists(st.integers(2, 30), min_size=2, max_size=8),
    shares=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
)
def test_shares_are_exact_to_the_image_and_parts_nested_whatever_the_classes(class_sizes, shares):
    labels_N = np.repeat(np.arange(len(class_sizes)), class_sizes)
    whole_K = np.bincount(labels_N[build_split(labels_N).train_indices_N])
    parts = []
    for train_size in sorted(math.ceil(share * whole_K.sum()) for share in shares):
        train_indices_N = build_split(labels_N, train_size=train_size).train_indices_N
        counts_K = np.bincount(labels_N[train_indices_N], minlength=len(class_sizes))
        assert counts_K.sum() == train_size
        assert np.abs(counts_K - train_size * whole_K / whole_K.sum()).max() < 1
        parts.append(set(train_indices_N.tolist()))
    assert parts[0] <= parts[1]


def test_more_images_than_there_are_to_train_on():
    with pytest.raises(ConfigError) as caught:
        build_split(LABELS, train_size=295)
    assert str(caught.value) == (
        "train_size: found 295; allowed: up to 294, what the dataset leaves to train on; make it smaller"
    )


def test_a_class_with_one_image():
    with pytest.raises(ConfigError) as caught:
        build_split(np.array([0, 0, 0, 1]))
    assert str(caught.value) == "dataset: found 1 images of class 1; needs at least 2"


def test_a_batch_may_take_all_images_to_train_on_but_no_more():
    data = build_small()
    assert len(split_for_training(data, train_size=None, batch_size=18).train_indices_N) == 18
    with pytest.raises(ConfigError) as caught:
        split_for_training(data, train_size=None, batch_size=19)
    assert str(caught.value) == "batch_size: found 19; allowed: up to 18, the images to train on; make it smaller"


def test_a_batch_greater_than_the_train_size():
    with pytest.raises(ConfigError, match="batch_size: found 11; allowed: up to 10"):
        split_for_training(build_small(), train_size=10, batch_size=11)


def test_training_uses_the_split_of_the_training_labels():
    split, expected = split_for_training(build_small(), train_size=10, batch_size=5), build_split(np.arange(20) % 2)
    assert len(split.train_indices_N) == 10
    assert split.digest == expected.digest


def test_what_is_evaluated_on_the_test_images_holds_none_out():
    split = split_for_training(build_small(), train_size=None, batch_size=20, evaluate_on="test")
    assert split.train_indices_N.tolist() == list(range(20))
    assert split.validation_indices_N.tolist() == []
    assert split.digest != split_for_training(build_small(), train_size=None, batch_size=5).digest
    assert len(split_for_training(build_small(), train_size=10, batch_size=5, evaluate_on="test").train_indices_N) == 10


def test_equal_datasets_have_equal_digests():
    assert build_small().digest == build_small().digest
    assert len(build_small().digest) == 64


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_pixel_changes_the_digest(part):
    images_NHWC = getattr(build_small(), f"{part}_images_NHWC")
    images_NHWC[-1, 31, 31, 2] ^= 1
    assert build_small(**{f"{part}_images_NHWC": images_NHWC}).digest != build_small().digest


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_label_changes_the_digest(part):
    labels_N = getattr(build_small(), f"{part}_labels_N")
    labels_N[-1] = 1 - labels_N[-1]
    assert build_small(**{f"{part}_labels_N": labels_N}).digest != build_small().digest


def test_a_class_name_changes_the_digest():
    assert build_small(classes=("cat", "fox")).digest != build_small().digest


def test_the_same_images_divided_otherwise_change_the_digest():
    data = build_small()
    images_NHWC = np.concatenate([data.train_images_NHWC, data.test_images_NHWC])
    labels_N = np.concatenate([data.train_labels_N, data.test_labels_N])
    moved = build_small(
        train_images_NHWC=images_NHWC[:18],
        train_labels_N=labels_N[:18],
        test_images_NHWC=images_NHWC[18:],
        test_labels_N=labels_N[18:],
    )
    assert moved.digest != data.digest


def test_how_an_array_lies_in_memory_makes_no_difference():
    data = build_small()
    # As torchvision hands out CIFAR-10: channels first in memory, and only seen as channels last.
    turned = data.train_images_NHWC.transpose(0, 3, 1, 2).copy().transpose(0, 2, 3, 1)
    assert not turned.flags.c_contiguous
    again = build_small(train_images_NHWC=turned)
    assert again.digest == data.digest
    assert np.array_equal(again.train_images_NHWC, data.train_images_NHWC)
    assert again.train_images_NHWC.flags.c_contiguous


def test_contiguous_arrays_are_not_copied():
    images_NHWC = build_small().train_images_NHWC
    assert build_small(train_images_NHWC=images_NHWC).train_images_NHWC is images_NHWC


def test_a_dataset_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        build_small().digest = "other"


def test_synthetic_is_loaded_without_a_folder(tmp_path):
    data = load_dataset("synthetic", None, tmp_path)
    assert data.name == "synthetic"
    assert (len(data.train_labels_N), len(data.test_labels_N)) == (20_000, 4_000)
    assert not list(tmp_path.iterdir())


def test_the_size_is_known_before_the_images_are_loaded_but_of_folders(tmp_path):
    assert find_most_bytes("synthetic") == load_dataset("synthetic", None, tmp_path).num_bytes
    assert find_most_bytes("cifar10") == 60_000 * 32 * 32 * 3
    assert find_most_bytes("imagefolder") is None


def test_imagefolder_without_data_dir(tmp_path):
    with pytest.raises(DataUnavailable, match="imagefolder needs data_dir, the folder that has train/<class>/ and"):
        load_dataset("imagefolder", None, tmp_path)


def test_a_folder_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataUnavailable, match=f"^{tmp_path}/pictures/train is not a folder"):
        load_dataset("imagefolder", "~/pictures", tmp_path / "cache")


def test_an_unknown_dataset_is_an_error_that_lists_the_known(tmp_path):
    allowed = "allowed: cifar10, cifar100, svhn, fashion_mnist, imagefolder, synthetic"
    with pytest.raises(ValueError, match=f"found dataset 'imagenet'; {allowed}"):
        load_dataset("imagenet", None, tmp_path)
