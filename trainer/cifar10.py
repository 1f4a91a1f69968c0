"""CIFAR-10 itself, downloaded once through torchvision."""

from __future__ import annotations

import http.client
import shutil
import socket
import urllib.error
import urllib.request
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.data import Dataset, DataUnavailable, build_dataset
from trainer.lock import hold_lock

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

_CONNECT_SECONDS = 5.0  # for the first answer of the server, so that a machine without a network is told at once
_STALL_SECONDS = 60.0  # for the next bytes of a download under way


def load_cifar10(folder: Path) -> Dataset:
    """Returns CIFAR-10, downloading it when the folder does not have it yet.

    Args:
        folder: Where the archive and what it holds are kept.

    Raises:
        DataUnavailable: It is not there and the server cannot be reached, or the folder cannot be written.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html; torchvision.datasets.CIFAR10 checks the MD5.
    """
    from torchvision.datasets import CIFAR10

    with warnings.catch_warnings():
        # The archive's pickles are of 2009; NumPy 2.4.0 to 2.4.4 remark on how they write a type:
        # https://github.com/numpy/numpy/pull/31177
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        try:
            train, test = CIFAR10(folder, train=True), CIFAR10(folder, train=False)
        except RuntimeError:  # absent, or its checksums are wrong
            train, test = _download(folder)
    train_labels_N, test_labels_N = (np.asarray(part.targets, dtype=np.int64) for part in (train, test))
    return build_dataset("cifar10", tuple(train.classes), train.data, train_labels_N, test.data, test_labels_N)


def _download(folder: Path) -> tuple[CIFAR10, CIFAR10]:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder / ".cifar10.lock"):
            if not check_integrity(folder / CIFAR10.filename, CIFAR10.tgz_md5):
                _check_server(CIFAR10.url)
            if not check_integrity(folder / CIFAR10.base_folder / CIFAR10.meta["filename"], CIFAR10.meta["md5"]):
                # torchvision unpacks the archive again for every other file that is broken, but not for this one.
                shutil.rmtree(folder / CIFAR10.base_folder, ignore_errors=True)
            patience = socket.getdefaulttimeout()
            socket.setdefaulttimeout(_STALL_SECONDS)  # torchvision's own download would wait for ever
            try:
                return CIFAR10(folder, train=True, download=True), CIFAR10(folder, train=False)
            finally:
                socket.setdefaulttimeout(patience)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):  # is the answer as well, with its connection
            error.close()
        raise DataUnavailable(
            f"CIFAR-10 is not in {folder} and could not be downloaded: {_explain(error)}. Put {CIFAR10.filename} "
            f"(from {CIFAR10.url}) into {folder}, or set dataset: imagefolder with data_dir for pictures that you "
            "have, or set dataset: synthetic, which needs none"
        ) from error


def _check_server(url: str) -> None:
    """Raises OSError when the server does not answer in time."""
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=_CONNECT_SECONDS):
        pass


def _explain(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason).strip(". \r\n") or type(reason).__name__
