"""Datasets as uint8 images in memory, and the fixed split of their training part.

Shapes: N images, H = 32 rows, W = 32 columns, C = 3 channels (red, green, blue).
"""

from __future__ import annotations

import os
from pathlib import Path

from trainer.data.dataset import SIDE_PIXELS, Dataset, DataUnavailable
from trainer.data.progress import Tell, tell_nobody

DRAWN = "trainer.data.synthetic"  # where the images come from that nobody took


def load_dataset(
    name: str, data_dir: str | None, cache_dir: Path | None = None, *, tell: Tell = tell_nobody
) -> Dataset:
    """Returns a dataset, from where it was cached when it has been loaded before.

    Args:
        name: cifar10, cifar100, svhn or fashion_mnist (downloaded when absent), imagefolder or synthetic.
        data_dir: imagefolder: the folder that has train/<class>/ and test/<class>/. synthetic: None. The others: where
            the download is kept, None for the cache folder.
        cache_dir: Where downloads and decoded images are kept; None for $SWEEPS_DATA or else ~/.cache/sweeps.
        tell: Takes how far it is, where it takes long.

    Raises:
        DataUnavailable: It cannot be had; the message says what to do.
        ValueError: There is no dataset of that name.
    """
    if name == "synthetic":
        from trainer.data.synthetic import draw_synthetic

        return draw_synthetic()
    cache_dir = cache_dir or find_cache()
    if name == "imagefolder":
        from trainer.data.imagefolder import load_imagefolder

        if data_dir is None:
            raise DataUnavailable(
                "dataset imagefolder needs data_dir, the folder that has train/<class>/ and test/<class>/"
            )
        return load_imagefolder(Path(data_dir).expanduser(), cache_dir, tell)
    from trainer.data.downloads import DOWNLOADS, load_download

    if name not in DOWNLOADS:
        raise ValueError(f"found dataset {name!r}; allowed: {', '.join(DOWNLOADS)}, imagefolder, synthetic")
    return load_download(name, Path(data_dir).expanduser() if data_dir else cache_dir, tell)


def find_most_bytes(name: str) -> int | None:
    """Size that the images of a dataset have at most, before they are loaded; None where that is not known.

    Args:
        name: As for `load_dataset`.
    """
    from trainer.data.downloads import DOWNLOADS
    from trainer.data.synthetic import NUM_TEST, NUM_TRAIN

    num_images = {name: row.num_images for name, row in DOWNLOADS.items()} | {"synthetic": NUM_TRAIN + NUM_TEST}
    return num_images[name] * 3 * SIDE_PIXELS**2 if name in num_images else None


def find_cache() -> Path:
    """Where downloads and decoded images are kept: $SWEEPS_DATA, or else ~/.cache/sweeps."""
    return Path(os.environ.get("SWEEPS_DATA") or Path.home() / ".cache" / "sweeps")


def list_missing(name: str, folder: Path) -> list[str]:
    """Addresses of the archives of a dataset that are not in a folder, or are there damaged; nothing is downloaded."""
    from trainer.data.downloads import list_missing_archives

    return [archive.url for archive in list_missing_archives(name, folder)]


def find_source(name: str, data_dir: str | None) -> str:
    """Where the images of a dataset come from: the page of whoever published it, a folder, or our code that draws it.

    Args:
        name: As for `load_dataset`.
        data_dir: Likewise.
    """
    from trainer.data.downloads import DOWNLOADS

    if name in DOWNLOADS:
        return DOWNLOADS[name].home_page
    return DRAWN if data_dir is None else os.fspath(Path(data_dir).expanduser())
