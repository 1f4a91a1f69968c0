"""What a registered model answers where it is served: images in, class names and probabilities out.

MLflow copies this file into each model, and loads it there by its own name. So it imports nothing of ours.
Shapes: N images, H rows, W columns, C channels, K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class ServedClassifier:
    """A network with the names of its classes.

    Args:
        network: MLflow's model of it: takes images_NCHW as float32, 0 to 255, and gives logits_NK.
        classes: The K names, in the order of the logits.
    """

    def __init__(self, network: Any, classes: Sequence[str]) -> None:
        self._network = network
        self._classes = np.array(classes, dtype=object)

    def predict(self, images_NHWC: NDArray[np.uint8], params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002  # MLflow passes it
        """For each image the most probable `class` and its `probability`, 0..1, as the softmax of the logits has it."""
        images_NCHW = np.ascontiguousarray(images_NHWC.transpose(0, 3, 1, 2), dtype=np.float32)
        logits_NK = np.asarray(self._network.predict(images_NCHW), dtype=np.float64)
        powers_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
        probabilities_NK = powers_NK / powers_NK.sum(axis=1, keepdims=True)
        return pd.DataFrame(
            {"class": self._classes[probabilities_NK.argmax(axis=1)], "probability": probabilities_NK.max(axis=1)}
        )


def _load_pyfunc(path: str) -> ServedClassifier:
    """What MLflow calls to load the model.

    Args:
        path: Folder of the network as a model of its own.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    return ServedClassifier(mlflow.pyfunc.load_model(path), Model.load(path).metadata["classes"])
