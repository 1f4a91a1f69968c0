"""A finished training as a network for others: takes images as they are, with the weights of its best epoch.

Shapes: N images, C = 3 channels, H = 32 rows, W = 32 columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from trainer.config import build_trial_config
from trainer.data.batches import standardize_images
from trainer.data.dataset import SIDE_PIXELS
from trainer.loop.checkpoint import load_checkpoint
from trainer.loop.training_run import TrainingRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.data.dataset import Dataset


class ImageClassifier(nn.Module):
    """A trained network with the scaling of pixels that it was trained with.

    Args:
        network: Takes images that are scaled.
        mean_C: What is taken off each channel, in units of a byte.
        std_C: What each channel is divided by.
        standardizes: Whether each image is scaled by its own mean and deviation instead.
    """

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(self, network: nn.Module, mean_C: Tensor, std_C: Tensor, *, standardizes: bool) -> None:
        super().__init__()
        self.standardizes = standardizes
        self.network = network
        self.register_buffer("mean_C11", mean_C[:, None, None])
        self.register_buffer("std_C11", std_C[:, None, None])

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """The logits_NK of images whose channels go from 0 to 255, as float32."""
        if self.standardizes:
            scaled_NCHW = standardize_images(images_NCHW.flatten(1)).view_as(images_NCHW)
        else:
            scaled_NCHW = (images_NCHW - self.mean_C11) / self.std_C11
        logits_NK: Tensor = self.network(scaled_NCHW)
        return logits_NK


def load_classifier(checkpoint: Path, parameters: Mapping[str, object], data: Dataset) -> ImageClassifier:
    """Returns the network of a training's checkpoint, on the CPU, ready to predict.

    Args:
        checkpoint: Folder that `write_checkpoint` wrote after an epoch with a finite validation loss.
        parameters: Those of the training.
        data: The images of the training.

    Raises:
        CheckpointError: The checkpoint cannot be read, or is one of another training.
    """
    # It need not go on here as where it trained: there may be no compiler, and other arithmetic.
    config = replace(build_trial_config(parameters), compile=False)
    run = TrainingRun(config, data, device="cpu")
    load_checkpoint(run, checkpoint, only_predicts=True)
    standardizes = run.config.standardization == "picture"
    return ImageClassifier(run.build_best_model(), *run.channels, standardizes=standardizes).eval()


def build_example(data: Dataset, num_images: int = 2) -> NDArray[np.float32]:
    """Some test images in the form that the classifier takes: images_NCHW."""
    images_NHWC = data.test_images_NHWC[:num_images]
    assert images_NHWC.shape[1:] == (SIDE_PIXELS, SIDE_PIXELS, 3)
    return np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2), dtype=np.float32)
