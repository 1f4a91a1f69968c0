"""Table of losses, each the mean over the pictures of a batch.

Shapes: N pictures, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from trainer.settings import Row, Setting, Value, get_float

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor"], "Tensor"]
BuildLoss = Callable[[Mapping[str, Value], bool], Loss]


@dataclass(frozen=True)
class LossRow(Row):
    """One loss.

    Attributes:
        build: (settings, training) to a function from logits_NK (float32) and labels_N to the mean loss. With
            `training` false it leaves out what is for training only, so that losses on validation pictures compare.
    """

    build: BuildLoss


def _cross_entropy(label_smoothing: float, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits_NK, labels_N, label_smoothing=label_smoothing)


def _mse(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    from torch.nn.functional import mse_loss, one_hot

    return mse_loss(logits_NK, one_hot(labels_N, logits_NK.shape[1]).to(logits_NK.dtype))


def _build_cross_entropy(settings: Mapping[str, Value], training: bool) -> Loss:
    return partial(_cross_entropy, get_float(settings, "label_smoothing") if training else 0.0)


def _build_mse(settings: Mapping[str, Value], training: bool) -> Loss:
    del settings, training  # the same whatever is chosen
    return _mse


_ROWS = (
    LossRow(
        name="cross_entropy",
        description="Negative log of the softmax probability of the right class",
        source="Szegedy et al. 2016, section 7, https://arxiv.org/abs/1512.00567 (label smoothing); "
        "torch.nn.functional.cross_entropy",
        settings=(
            Setting(
                "label_smoothing",
                "Share of the target spread evenly over all classes while training; validation and test go without",
                "float",
                0.0,
                low=0,
                high=1,
                high_open=True,
            ),
        ),
        build=_build_cross_entropy,
    ),
    LossRow(
        name="mse",
        description="Mean over classes of the squared distance of the outputs to the one-hot label",
        source="Hui and Belkin 2021, section 2, https://arxiv.org/abs/2006.07322, without their rescaling; "
        "torch.nn.functional.mse_loss",
        settings=(),
        build=_build_mse,
    ),
)

LOSSES: Mapping[str, LossRow] = {row.name: row for row in _ROWS}
