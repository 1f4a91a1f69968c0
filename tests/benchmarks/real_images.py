"""Where the benchmarks find the real CIFAR-10 images, as folders of files."""

import os
import subprocess
from pathlib import Path

from trainer.data.dataset import Dataset
from trainer.data.load import load_dataset

UNPACK = Path(__file__).parents[3] / "shared" / "tools" / "real-cifar10.sh"


def find_real_images() -> str:
    """The folder under SWEEPS_PICTURES, or beside the checkout; ends the program where neither is."""
    folder = os.environ.get("SWEEPS_PICTURES")
    if folder is None:
        if not UNPACK.exists():
            raise SystemExit(
                "the real images are absent: set SWEEPS_PICTURES to a folder with train/<class>/ and test/<class>/"
            )
        folder = subprocess.run(["bash", UNPACK], check=True, capture_output=True, text=True).stdout.strip()
    return folder


def load_real_images() -> Dataset:
    """Those images, decoded."""
    return load_dataset("imagefolder", find_real_images())
