"""Images in folders, one per class, decoded once and cached as arrays.

Shapes: N images, H = 32 rows, W = 32 columns, C = 3 channels.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.dataset import Dataset, DataUnavailable, build_dataset
from trainer.data.lock import hold_lock
from trainer.data.pictures import decode_pictures, is_plain
from trainer.data.progress import Tell, tell_nobody

_SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_FORMAT = 3  # rises when images are decoded in another way, so that older caches are not taken
_NUM_SHOWN = 5  # faulty files that an error names; the rest is a count
_UNREADABLE_NAME = re.compile("[\ud800-\udfff]")  # how Python has bytes of a file name that are not UTF-8
_ARRAYS = ("train_images_NHWC", "train_labels_N", "test_images_NHWC", "test_labels_N")


@dataclass(frozen=True)
class _Listing:
    """The images of a folder, without having opened them.

    Attributes:
        classes: Names of the classes, in the order of the alphabet.
        train: (path, label) of each training image, in the order of class and file name.
        test: The same for the test images.
        key: Changes with every file's name, size and time of change.
    """

    classes: tuple[str, ...]
    train: tuple[tuple[str, int], ...]
    test: tuple[tuple[str, int], ...]
    key: str


def load_imagefolder(folder: Path, cache_dir: Path, tell: Tell = tell_nobody) -> Dataset:
    """Returns the images of a folder, resized to 32x32 and in RGB, decoding them unless the cache has them.

    Images of another shape are stretched, those turned by an EXIF tag are turned upright. The cache is one folder of
    arrays under `cache_dir`; it is made anew when an image is added, removed or changed.

    Args:
        folder: Has train/<class>/<images> and test/<class>/<images>, the same classes in both.
        cache_dir: Where decoded images are kept.
        tell: Takes how many images are decoded.

    Raises:
        DataUnavailable: The folder is not made like that, or images cannot be read; names them.
    """
    folder = folder.resolve()
    try:
        listing = _list_folder(folder)
    except OSError as error:
        raise DataUnavailable(f"{folder} cannot be read: {error}; make what it names readable or remove it") from error
    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    cached = cache_dir / f"imagefolder-{place}-{_FORMAT}-{listing.key[:16]}"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with hold_lock(cache_dir / f".imagefolder-{place}.lock"):
            if not cached.is_dir():
                dataset = _decode_folder(folder, listing, tell)
                for outdated in cache_dir.glob(f"imagefolder-{place}-*"):
                    shutil.rmtree(outdated)
                _write_cache(dataset, cached)
                return dataset
            return _load_cache(cached)
    except OSError as error:
        raise DataUnavailable(
            f"decoded images of {folder} cannot be kept in {cache_dir}: {error}; "
            "set SWEEPS_DATA to a folder that can be written"
        ) from error


def _list_folder(folder: Path) -> _Listing:
    parts = {}
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise DataUnavailable(
                f"{folder / part} is not a folder; data_dir has to be the folder that has train/<class>/<images> "
                "and test/<class>/<images>"
            )
        parts[part] = _list_part(folder / part)
    train_classes, test_classes = set(parts["train"]), set(parts["test"])
    if train_classes != test_classes:
        only = {"train": train_classes - test_classes, "test": test_classes - train_classes}
        found = "; ".join(f"only in {part}: {', '.join(sorted(names))}" for part, names in only.items() if names)
        raise DataUnavailable(
            f"train and test of {folder} have different classes ({found}); give both the same class folders"
        )
    classes = tuple(sorted(train_classes))
    if len(classes) < 2:
        raise DataUnavailable(f"{folder / 'train'} has {len(classes)} class folders; put at least 2 into it")
    lines = [
        f"{part}/{name}/{entry.name}\0{entry.stat().st_size}\0{entry.stat().st_mtime_ns}"
        for part in ("train", "test")
        for name in classes
        for entry in parts[part][name]
    ]
    train, test = (
        tuple((entry.path, label) for label, name in enumerate(classes) for entry in parts[part][name])
        for part in ("train", "test")
    )
    return _Listing(classes, train, test, hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest())


def _list_part(folder: Path) -> dict[str, list[os.DirEntry[str]]]:
    """Class name to its images, by file name; hidden files and folders are passed over."""
    images: dict[str, list[os.DirEntry[str]]] = {}
    for class_folder in sorted(folder.iterdir()):
        if class_folder.name.startswith("."):
            continue
        if not class_folder.is_dir():
            raise DataUnavailable(f"{class_folder} is a file; only class folders belong there, move it elsewhere")
        if _UNREADABLE_NAME.search(class_folder.name):
            raise DataUnavailable(f"the class folder {class_folder} has a name that is not UTF-8; rename it")
        entries = sorted((e for e in os.scandir(class_folder) if not e.name.startswith(".")), key=lambda e: e.name)
        if not entries:
            raise DataUnavailable(f"{class_folder} has no images; put some into it or remove the folder")
        others = [entry.name for entry in entries if Path(entry.name).suffix.lower() not in _SUFFIXES]
        if others:
            raise DataUnavailable(
                f"{class_folder} has {len(others)} files that are no images: {_shorten(others)}; remove them "
                f"(images end in {', '.join(sorted(_SUFFIXES))})"
            )
        images[class_folder.name] = entries
    return images


def _decode_folder(folder: Path, listing: _Listing, tell: Tell) -> Dataset:
    images_NHWC, faults = decode_pictures([path for path, _ in (*listing.train, *listing.test)], tell)
    if faults:
        names = [f"{Path(path).relative_to(folder)} ({reason})" for path, reason in faults]
        raise DataUnavailable(
            f"{len(faults)} images of {folder} cannot be read: {_shorten(names)}; replace or remove them"
        )
    train_labels_N, test_labels_N = (
        np.array([label for _, label in part], dtype=np.int64) for part in (listing.train, listing.test)
    )
    num_train = len(train_labels_N)
    dataset = build_dataset(
        "imagefolder", listing.classes, images_NHWC[:num_train], train_labels_N, images_NHWC[num_train:], test_labels_N
    )
    _refuse_plain(folder, dataset)
    return dataset


def _refuse_plain(folder: Path, dataset: Dataset) -> None:
    """Raises where all images of a class, or of a part, are of one colour: they were read wrongly, or say nothing."""
    parts = {
        "train": (dataset.train_images_NHWC, dataset.train_labels_N),
        "test": (dataset.test_images_NHWC, dataset.test_labels_N),
    }
    plain: list[tuple[str, list[int]]] = []
    for part, (images_NHWC, labels_N) in parts.items():
        if is_plain(images_NHWC):
            plain.append((part, images_NHWC[0, 0, 0].tolist()))
            continue
        for label, name in enumerate(dataset.classes):
            of_class = images_NHWC[labels_N == label]
            if is_plain(of_class):
                plain.append((f"{part}/{name}", of_class[0, 0, 0].tolist()))
    if plain:
        names = [f"{name} (red {red}, green {green}, blue {blue})" for name, (red, green, blue) in plain]
        raise DataUnavailable(
            f"all images are of one and the same colour in these folders of {folder}: "
            f"{_shorten(names)}; look at them, and put others in their place"
        )


def _write_cache(dataset: Dataset, target: Path) -> None:
    """Writes a dataset to a new folder that is there completely or not at all."""
    with tempfile.TemporaryDirectory(prefix=".imagefolder-", dir=target.parent) as folder:
        unfinished = Path(folder) / "unfinished"
        unfinished.mkdir()
        for name in _ARRAYS:
            np.save(unfinished / f"{name}.npy", getattr(dataset, name))
        words = {"classes": dataset.classes, "digest": dataset.digest}
        (unfinished / "dataset.json").write_text(json.dumps(words))
        unfinished.rename(target)


def _load_cache(source: Path) -> Dataset:
    words = json.loads((source / "dataset.json").read_text())
    arrays = {name: np.load(source / f"{name}.npy") for name in _ARRAYS}
    return Dataset(name="imagefolder", classes=tuple(words["classes"]), digest=words["digest"], **arrays)


def _shorten(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NUM_SHOWN} more" if len(names) > _NUM_SHOWN else ""
    return ", ".join(names[:_NUM_SHOWN]) + more
