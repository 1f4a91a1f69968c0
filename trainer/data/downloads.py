"""Known sets of images, downloaded once through torchvision: each is a row of the table.

Shapes: N images, C = 3 channels (red, green, blue), H = 32 rows, W = 32 columns; grey ones have h = 28 and w = 28.
"""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import SIDE_PIXELS, Dataset, DataUnavailable, build_dataset
from trainer.data.lock import hold_lock
from trainer.data.progress import Tell, tell_nobody, watch_files

_CONNECT_SECONDS = 5.0  # for the first answer of the server, so that a machine without a network is told at once
_STALL_SECONDS = 60.0  # for the next bytes of a download under way

# What torchvision raises for files that are absent, that fail their checksums, or (Fashion-MNIST's unpacked files, for
# which it has no checksums) that an unpacking left incomplete.
_UNREADABLE = (RuntimeError, ValueError, AssertionError)


@dataclass(frozen=True)
class Archive:
    """A file that is downloaded.

    Attributes:
        url: Where it is had.
        path: Where it is kept, relative to the folder of the downloads.
        md5: Checksum, in hexadecimal.
    """

    url: str
    path: str
    md5: str


@dataclass(frozen=True)
class Download:
    """A set of images that torchvision has a class for.

    Attributes:
        name: What the setting `dataset` says.
        title: What people call it.
        source: The paper.
        home_page: Of those who published it.
        num_images: Of both parts.
        torchvision_class: Name in torchvision.datasets.
        parts: Arguments of the class that give the training part, and those that give the test part.
        labels: Attribute of a part that has its labels.
        classes: Names of the classes; empty where the torchvision class has them.
        unpacked: Pattern of the files that torchvision unpacks into the folder; empty where it reads the archives.
        list_archives: The torchvision class to what is downloaded.
        build_images: The `data` of a part to its images, uint8, NHWC.
    """

    name: str
    title: str
    source: str
    home_page: str
    num_images: int
    torchvision_class: str
    parts: tuple[Mapping[str, object], Mapping[str, object]]
    labels: str
    classes: tuple[str, ...]
    unpacked: str
    list_archives: Callable[[Any], Sequence[Archive]]
    build_images: Callable[[Any], NDArray[np.uint8]]


def load_download(name: str, folder: Path, tell: Tell = tell_nobody) -> Dataset:
    """Returns the dataset of a row of the table, downloading it when the folder does not have it yet.

    Args:
        name: One of `DOWNLOADS`.
        folder: Where the archives and what they hold are kept.
        tell: Takes how much has been downloaded.

    Raises:
        DataUnavailable: It is not there and the server cannot be reached, or the folder cannot be read or written.
    """
    import torchvision.datasets

    row = DOWNLOADS[name]
    torchvision_class = getattr(torchvision.datasets, row.torchvision_class)
    with warnings.catch_warnings():
        # The pickles of CIFAR are of 2009; NumPy 2.4.0 to 2.4.4 remark on how they write a type:
        # https://github.com/numpy/numpy/pull/31177
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        try:
            parts = _read_parts(row, torchvision_class, folder) or _download_parts(row, torchvision_class, folder, tell)
        except (OSError, *_UNREADABLE, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):  # is the answer as well, with its connection
                error.close()
            raise DataUnavailable(
                f"{row.title} is not in {folder} and could not be downloaded: {_explain(error)}. "
                f"{_explain_archives(row.list_archives(torchvision_class), folder)}, or set dataset: imagefolder with "
                "data_dir for images that you have, or set dataset: synthetic, which needs none"
            ) from error
    classes = row.classes or tuple(parts[0].classes)
    train_images_NHWC, test_images_NHWC = (row.build_images(part.data) for part in parts)
    train_labels_N, test_labels_N = (np.asarray(getattr(part, row.labels), dtype=np.int64) for part in parts)
    return build_dataset(name, classes, train_images_NHWC, train_labels_N, test_images_NHWC, test_labels_N)


def list_missing_archives(name: str, folder: Path) -> list[Archive]:
    """The archives of a row of the table that a folder does not have whole."""
    import torchvision.datasets

    row = DOWNLOADS[name]
    return _find_missing(row.list_archives(getattr(torchvision.datasets, row.torchvision_class)), folder)


def _find_missing(archives: Sequence[Archive], folder: Path) -> list[Archive]:
    from torchvision.datasets.utils import check_integrity

    return [each for each in archives if not check_integrity(folder / each.path, each.md5)]


def _read_parts(row: Download, torchvision_class: Any, folder: Path) -> tuple[Any, ...] | None:
    """The training part and the test part, None where they cannot be read."""
    with suppress(*_UNREADABLE):
        return tuple(torchvision_class(folder, **arguments) for arguments in row.parts)
    return None


def _download_parts(row: Download, torchvision_class: Any, folder: Path, tell: Tell) -> tuple[Any, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder / f".{row.name}.lock"):
        if parts := _read_parts(row, torchvision_class, folder):
            return parts  # another process had the lock, and downloaded it
        missing = _find_missing(row.list_archives(torchvision_class), folder)
        sizes = [check_server(archive.url) for archive in missing]
        num_bytes = None if None in sizes else sum(size or 0 for size in sizes)
        if row.unpacked:  # torchvision unpacks again what is absent, but not everything that is broken
            for path in folder.glob(row.unpacked):
                path.unlink()
        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_STALL_SECONDS)  # torchvision's own download would wait for ever
        try:
            with watch_files([folder / each.path for each in missing], num_bytes, tell):
                return tuple(torchvision_class(folder, download=True, **arguments) for arguments in row.parts)
        finally:
            socket.setdefaulttimeout(patience)


def check_server(url: str) -> int | None:
    """Returns when the server answers: with the size of a file in bytes, None where it does not say.

    Raises:
        OSError: It does not answer in time.
    """
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=_CONNECT_SECONDS) as answer:
        size: str = answer.headers.get("Content-Length", "")
    return int(size) if size.isdecimal() else None


def _explain(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return " ".join(str(reason).split()).strip(". ") or type(reason).__name__


def _explain_archives(archives: Sequence[Archive], folder: Path) -> str:
    """What to do by hand in place of the download."""
    files = ", ".join(f"{Path(each.path).name} (from {each.url})" for each in archives)
    return f"Put {files} into {(folder / archives[0].path).parent}"


def _list_cifar_archives(torchvision_class: Any) -> list[Archive]:
    return [Archive(torchvision_class.url, torchvision_class.filename, torchvision_class.tgz_md5)]


def _list_svhn_archives(torchvision_class: Any) -> list[Archive]:
    return [Archive(*torchvision_class.split_list[part]) for part in ("train", "test")]


def _list_mnist_archives(torchvision_class: Any) -> list[Archive]:
    server = torchvision_class.mirrors[0]
    return [Archive(server + name, f"FashionMNIST/raw/{name}", md5) for name, md5 in torchvision_class.resources]


def _build_cifar_images(images_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images_NHWC


def _build_svhn_images(images_NCHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images_NCHW.transpose(0, 2, 3, 1)


def _build_grey_images(images_Nhw: Any) -> NDArray[np.uint8]:
    """Images of a torch tensor, in the middle of a black square and the same on all channels."""
    border = (SIDE_PIXELS - images_Nhw.shape[1]) // 2
    images_NHW = np.pad(images_Nhw.numpy(), ((0, 0), (border, border), (border, border)))
    return np.repeat(images_NHW[..., np.newaxis], 3, axis=3)


_TRAIN_OR_TEST = ({"train": True}, {"train": False})
_CIFAR_SOURCE = "Krizhevsky 2009, Learning multiple layers of features"
_CIFAR_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"

_DOWNLOADS = (
    Download(
        name="cifar10",
        title="CIFAR-10",
        source=_CIFAR_SOURCE,
        home_page=_CIFAR_PAGE,
        num_images=60_000,
        torchvision_class="CIFAR10",
        parts=_TRAIN_OR_TEST,
        labels="targets",
        classes=(),
        unpacked="cifar-10-batches-py/*",
        list_archives=_list_cifar_archives,
        build_images=_build_cifar_images,
    ),
    Download(
        name="cifar100",
        title="CIFAR-100",
        source=_CIFAR_SOURCE,
        home_page=_CIFAR_PAGE,
        num_images=60_000,
        torchvision_class="CIFAR100",
        parts=_TRAIN_OR_TEST,
        labels="targets",
        classes=(),
        unpacked="cifar-100-python/*",
        list_archives=_list_cifar_archives,
        build_images=_build_cifar_images,
    ),
    Download(
        name="svhn",
        title="SVHN",
        source="Netzer et al. 2011, Reading digits in natural images; the cropped digits, without the extra part",
        home_page="http://ufldl.stanford.edu/housenumbers/",
        num_images=73_257 + 26_032,
        torchvision_class="SVHN",
        parts=({"split": "train"}, {"split": "test"}),
        labels="labels",
        classes=tuple("0123456789"),
        unpacked="",
        list_archives=_list_svhn_archives,
        build_images=_build_svhn_images,
    ),
    Download(
        name="fashion_mnist",
        title="Fashion-MNIST",
        source="Xiao, Rasul and Vollgraf 2017, https://arxiv.org/abs/1708.07747",
        home_page="https://github.com/zalandoresearch/fashion-mnist",
        num_images=70_000,
        torchvision_class="FashionMNIST",
        parts=_TRAIN_OR_TEST,
        labels="targets",
        classes=(),
        unpacked="FashionMNIST/raw/*-ubyte",
        list_archives=_list_mnist_archives,
        build_images=_build_grey_images,
    ),
)

DOWNLOADS: Mapping[str, Download] = {row.name: row for row in _DOWNLOADS}
