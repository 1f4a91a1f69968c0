"""Table of losses, each the mean over the images of a batch.

Shapes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from trainer.tables.settings import Row, Setting, Value, get_float

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor"], "Tensor"]
BuildLoss = Callable[[Mapping[str, Value], bool], Loss]


@dataclass(frozen=True)
class LossRow(Row):
    """One loss.

    Attributes:
        build: (settings, training) to a function from logits_NK (float32) and labels_N to the mean loss. With
            `training` false it leaves out what is for training only, so that losses on validation images compare.
    """

    build: BuildLoss


def _cross_entropy(label_smoothing: float, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits_NK, labels_N, label_smoothing=label_smoothing)


def _mse(logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    from torch.nn.functional import mse_loss, one_hot

    return mse_loss(logits_NK, one_hot(labels_N, logits_NK.shape[1]).to(logits_NK.dtype))


def _multi_margin(margin: float, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    from torch.nn.functional import multi_margin_loss

    return multi_margin_loss(logits_NK, labels_N, margin=margin)


def _focal(gamma: float, logits_NK: Tensor, labels_N: Tensor) -> Tensor:
    from torch import finfo
    from torch.nn.functional import log_softmax, nll_loss

    log_p_NK = log_softmax(logits_NK, 1)
    # One minus the probability. It is kept above zero, where a power below one has an infinite slope.
    rest_NK = (-log_p_NK.expm1()).clamp_min(finfo(log_p_NK.dtype).tiny)
    return nll_loss(rest_NK**gamma * log_p_NK, labels_N)


def _build_cross_entropy(settings: Mapping[str, Value], training: bool) -> Loss:
    return partial(_cross_entropy, get_float(settings, "label_smoothing") if training else 0.0)


def _build_mse(settings: Mapping[str, Value], training: bool) -> Loss:
    del settings, training  # the same whatever is chosen
    return _mse


def _build_multi_margin(settings: Mapping[str, Value], training: bool) -> Loss:
    del training  # the same for validation and test
    return partial(_multi_margin, get_float(settings, "margin"))


def _build_focal(settings: Mapping[str, Value], training: bool) -> Loss:
    del training  # the same for validation and test
    return partial(_focal, get_float(settings, "focal_gamma"))


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
    LossRow(
        name="multi_margin",
        description="Mean over classes of how far the right output fails to lead each other one by a margin",
        source="torch.nn.functional.multi_margin_loss with p 1, "
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html: the hinge loss of Weston and "
        "Watkins 1999, divided by the number of classes",
        settings=(
            Setting(
                "margin",
                "Lead of the right output over another from which on that one costs nothing",
                "float",
                1.0,
                low=0,
                low_open=True,
            ),
        ),
        build=_build_multi_margin,
    ),
    LossRow(
        name="focal",
        description="Cross entropy in which an image counts less the surer the network is of its right class",
        source="Lin et al. 2017, equation 4, https://arxiv.org/abs/1708.02002, of the softmax probability of the right "
        "class and without class weights",
        settings=(
            Setting(
                "focal_gamma",
                "Power of one minus the probability of the right class, by which an image counts; 0 for cross entropy",
                "float",
                2.0,
                low=0,
            ),
        ),
        build=_build_focal,
    ),
)

LOSSES: Mapping[str, LossRow] = {row.name: row for row in _ROWS}
