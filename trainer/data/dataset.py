"""A data set in memory, and its split into training, validation and test."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.tables.settings import ConfigError, Fault

SIDE_PIXELS = 32


# The same images are held out in every sweep, whatever the seed of the sweep or the trial.
SPLIT_SEED = 0


VALIDATION_FRACTION = 0.1


class DataUnavailable(RuntimeError):  # says what is the matter, as the field's NotFound does
    """A dataset cannot be had: says what, where it was looked for, and what to do.

    Args:
        message: Bytes of file names that are not UTF-8 become escapes, so that every terminal and database takes it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of a dataset, in memory.

    Attributes:
        name: cifar10, cifar100, svhn, fashion_mnist, imagefolder or synthetic.
        classes: Names of the classes; a label is an index into them.
        train_images_NHWC: uint8, what training and validation split between them.
        train_labels_N: int64.
        test_images_NHWC: uint8.
        test_labels_N: int64.
        digest: SHA-256 over the classes, images and labels, in hexadecimal.
    """

    name: str
    classes: tuple[str, ...]
    train_images_NHWC: NDArray[np.uint8]
    train_labels_N: NDArray[np.int64]
    test_images_NHWC: NDArray[np.uint8]
    test_labels_N: NDArray[np.int64]
    digest: str

    @property
    def num_bytes(self) -> int:
        """Size of the images."""
        return self.train_images_NHWC.nbytes + self.test_images_NHWC.nbytes


@dataclass(frozen=True, eq=False)
class Split:
    """Which images of the training part are trained on, and which validate.

    Attributes:
        train_indices_N: int64, ascending.
        validation_indices_N: int64, ascending, none of them in `train_indices_N`.
        digest: SHA-256 of which images validate and which are left to train on, before `train_size` picks.
    """

    train_indices_N: NDArray[np.int64]
    validation_indices_N: NDArray[np.int64]
    digest: str


def build_dataset(
    name: str,
    classes: tuple[str, ...],
    train_images_NHWC: NDArray[np.uint8],
    train_labels_N: NDArray[np.int64],
    test_images_NHWC: NDArray[np.uint8],
    test_labels_N: NDArray[np.int64],
) -> Dataset:
    """The dataset of these arrays, with its digest; images that are not contiguous are copied so that they are."""
    train_images_NHWC = np.ascontiguousarray(train_images_NHWC)
    test_images_NHWC = np.ascontiguousarray(test_images_NHWC)
    digest = hashlib.sha256("\n".join(classes).encode())
    for array in (train_images_NHWC, train_labels_N, test_images_NHWC, test_labels_N):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return Dataset(
        name, classes, train_images_NHWC, train_labels_N, test_images_NHWC, test_labels_N, digest.hexdigest()
    )


def build_split(
    labels_N: NDArray[np.int64],
    *,
    validation_fraction: float = VALIDATION_FRACTION,
    train_size: int | None = None,
    seed: int = SPLIT_SEED,
) -> Split:
    """Divides the training part of a dataset class by class.

    The images that validate are the same for every `train_size`, and a smaller training part is within a larger one.

    Args:
        labels_N: Label of each image.
        validation_fraction: Share of every class that validates, between 0 and 1, rounded, at least one image each;
            0 for none at all.
        train_size: Images to train on, None for all that do not validate. Classes keep their shares, to the image.
        seed: Decides which images; fixed in all sweeps, not the seed of a trial.

    Raises:
        ConfigError: `train_size` is greater than what is left to train on, or a class has too few images.
    """
    generator = np.random.default_rng(seed)
    train, validation = [], []
    for label in np.unique(labels_N):
        shuffled_N = generator.permutation(np.flatnonzero(labels_N == label))
        num_validation = max(1, round(validation_fraction * len(shuffled_N))) if validation_fraction else 0
        if num_validation >= len(shuffled_N):
            raise ConfigError([Fault("dataset", f"found {len(shuffled_N)} images of class {label}; needs at least 2")])
        validation.append(shuffled_N[:num_validation])
        train.append(shuffled_N[num_validation:])
    validation_N, all_train_N = np.sort(np.concatenate(validation)), np.sort(np.concatenate(train))
    digest = hashlib.sha256(validation_N.tobytes() + all_train_N.tobytes()).hexdigest()
    train_N = all_train_N
    if train_size is not None:
        if train_size > len(all_train_N):
            allowed = f"allowed: up to {len(all_train_N)}, what the dataset leaves to train on; make it smaller"
            raise ConfigError([Fault("train_size", f"found {train_size}; {allowed}")])
        num_per_class = _share_out(train_size, [len(each) for each in train])
        train_N = np.sort(np.concatenate([each[:num] for each, num in zip(train, num_per_class, strict=True)]))
    assert not np.intersect1d(train_N, validation_N).size
    return Split(train_N, validation_N, digest)


def split_for_training(
    data: Dataset, *, train_size: int | None, batch_size: int, evaluate_on: str = "validation"
) -> Split:
    """The split that a training run uses; one that is evaluated on the test images holds none out.

    Raises:
        ConfigError: There are fewer images to train on than `train_size` or than one batch takes.
    """
    fraction = 0.0 if evaluate_on == "test" else VALIDATION_FRACTION
    split = build_split(data.train_labels_N, validation_fraction=fraction, train_size=train_size)
    if batch_size > len(split.train_indices_N):
        allowed = f"allowed: up to {len(split.train_indices_N)}, the images to train on; make it smaller"
        raise ConfigError([Fault("batch_size", f"found {batch_size}; {allowed}")])
    return split


def _share_out(total: int, sizes: list[int]) -> list[int]:
    """Divides a total in proportion to sizes: each share is exact to below one, and none shrinks as the total grows.

    Rounding to the largest remainders would have the first property and not the second.

    Source: Balinski and Young 1975, The quota method of apportionment, American Mathematical Monthly 82.
    """
    sizes_K, whole = np.array(sizes), sum(sizes)
    done = total - total % (whole // math.gcd(*sizes))  # the largest total so far that divides without remainders
    shares_K = sizes_K * done // whole
    for step in range(done + 1, total + 1):
        may_grow_K = shares_K * whole < sizes_K * step
        shares_K[np.argmax(np.where(may_grow_K, sizes_K / (shares_K + 1), 0))] += 1
    return [int(share) for share in shares_K]
