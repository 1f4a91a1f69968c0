"""The images of one training on the device that trains: what is trained on, what it is evaluated on.

Shapes: N images, B images of a batch, S steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from trainer.config import TrialConfig
from trainer.data.batches import ImageStore
from trainer.data.dataset import Dataset, split_for_training
from trainer.randomness import build_generator

_STATISTICS_IMAGES = 5_000  # from which batch normalisation takes its statistics for averaged weights
_CHUNK = 500  # images whose gradient is taken at once where the batch is all of them


class RunData:
    """Splits a dataset as a configuration says, and knows how it is worked off.

    Args:
        config: Of the run.
        data: Read, and not copied where the device is the CPU.
        device: That trains.

    Attributes:
        channels: Mean and standard deviation of each channel over the training images, in units of a byte.
        train: The images that are trained on, and perhaps others.
        train_indices_N: Those that are trained on.
        held_out: The images that are evaluated on after each epoch, and perhaps others.
        held_out_indices_N: Those that are evaluated on.
        sample_N: Indices of some training images, mixed.
        batch_size: Images of a step.
        steps_per_epoch: Whole batches.

    Raises:
        ConfigError: The configuration does not fit the data.
    """

    def __init__(self, config: TrialConfig, data: Dataset, device: torch.device) -> None:
        self._config, self._data, self._device = config, data, device
        is_full = config.batch_size == "full"
        batch_size = 1 if is_full else cast("int", config.batch_size)
        split = split_for_training(
            data, train_size=config.train_size, batch_size=batch_size, evaluate_on=config.evaluate_on
        )
        self.batch_size = len(split.train_indices_N) if is_full else batch_size
        self._chunk_size = _CHUNK if is_full else self.batch_size
        self.steps_per_epoch = len(split.train_indices_N) // self.batch_size
        self.train_indices_N = torch.from_numpy(split.train_indices_N).to(device)
        # Mixed, since a folder of images has its classes one after the other.
        sample_N = torch.randperm(len(split.train_indices_N), generator=build_generator(config.seed, "statistics"))
        self.sample_N = self.train_indices_N[sample_N[:_STATISTICS_IMAGES].to(device)]
        self.train = ImageStore(data.train_images_NHWC, data.train_labels_N, device)
        self.channels = self.train.measure_channels(self.train_indices_N)
        self._set_scaling(self.train)
        self.held_out = self.train
        self.held_out_indices_N = torch.from_numpy(split.validation_indices_N).to(device)
        if config.evaluate_on == "test":
            self.held_out, self.held_out_indices_N = self.load_test()

    def load_test(self) -> tuple[ImageStore, Tensor]:
        """The test images on the device, and the indices of all of them."""
        store = ImageStore(self._data.test_images_NHWC, self._data.test_labels_N, self._device)
        self._set_scaling(store)
        return store, torch.arange(len(store.labels_N)).to(self._device)

    def list_chunks(self, step: int) -> Iterator[slice]:
        """Yields the parts in which the batch of a step is worked off, as places in the order of the epoch."""
        images = range(step * self.batch_size, (step + 1) * self.batch_size)
        for start in images[:: self._chunk_size]:
            yield slice(start, min(start + self._chunk_size, images.stop))

    def _set_scaling(self, store: ImageStore) -> None:
        if self._config.standardization == "picture":
            store.set_standardization()
        else:
            store.set_normalization(*self.channels)
