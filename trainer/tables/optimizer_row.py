"""One row of the table of optimizers, and the settings and default search spaces that many rows share.

A default search space stands in the grammar of a sweep file's parameters. Sources of the spaces: [AP] AlgoPerf, Dahl et
al. 2023, https://arxiv.org/abs/2306.07179; [CV] Crowded Valley, Schmidt et al. 2021, https://arxiv.org/abs/2007.01547;
[S] Sivaprasad et al. 2020, https://arxiv.org/abs/1910.11758; [C] Choi et al. 2019, https://arxiv.org/abs/1910.05446;
[D] DeepOBS, https://openreview.net/forum?id=rJg6ssC5Y7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.tables.settings import Row, Setting, Value

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

Space = Mapping[str, Mapping[str, Any]]
BuildOptimizer = Callable[[Iterable["Tensor"], Mapping[str, Value], bool], "Optimizer"]


@dataclass(frozen=True)
class OptimizerRow(Row):
    """One optimizer.

    Attributes:
        build: (parameters, settings, fused) to the optimizer. `fused` asks for one kernel for the whole step. A group
            of its parameters may hold `lr_scale`, by which the schedule's learning rate is multiplied there.
        fused_devices: Device types on which a fused kernel exists.
        package: The module that has it, where that is not torch.
        re_evaluates: Whether a step evaluates the loss as often as it likes, which then has to be the same each time.
        gradient_first: Whether a step wants a gradient at the weights as they are before it calls the closure.
        gradient_evaluations_per_step: Backward passes that one step costs; None where it varies.
        differentiates_gradient: Whether a step differentiates the gradient once more (Hessian-vector products).
        draws: Whether a step draws random numbers, from torch's global generator.
        switches: Whether weights for training and for evaluation differ: has `train()` and `eval()`.
        fixes_lr: Whether only the learning rate of its first step matters.
        flattens: Whether it sees each weight as one row of numbers, which have to lie in memory in that order.
        decoupled_weight_decay: Whether weight decay shrinks the weights directly and is no part of the gradient.
        default_space: What `space: default` stands for in a sweep file; None for none.
    """

    build: BuildOptimizer
    fused_devices: tuple[str, ...] = ()
    package: str | None = None
    re_evaluates: bool = False
    gradient_first: bool = False
    gradient_evaluations_per_step: int | None = 1
    differentiates_gradient: bool = False
    draws: bool = False
    switches: bool = False
    fixes_lr: bool = False
    flattens: bool = False
    decoupled_weight_decay: bool = False
    default_space: Space | None = None

    @property
    def has_fused(self) -> bool:
        """Whether a fused kernel exists on any device."""
        return bool(self.fused_devices)


def lr(default: float) -> Setting:
    """The learning rate, which every optimizer has."""
    return Setting("lr", "Learning rate; the peak where a schedule changes it", "float", default, low=0, low_open=True)


def weight_decay(
    default: float = 0.0, description: str = "Weight decay, added to the gradient as an L2 penalty's"
) -> Setting:
    """Weight decay, coupled unless the description says otherwise."""
    return Setting("weight_decay", description, "float", default, low=0)


def epsilon(default: float) -> Setting:
    """What keeps a denominator from zero."""
    return Setting("epsilon", "Added to the denominator of the step", "float", default, low=0)


def decay_rate(name: str, description: str, default: float, *, low_open: bool = False) -> tuple[Setting, Setting]:
    """A decay rate in [0, 1), and its spelling as one minus it, which is searched on a log scale."""
    rate = Setting(name, description, "float", default, low=0, high=1, low_open=low_open, high_open=True)
    complement = Setting(
        f"one_minus_{name}",
        f"One minus {name}, instead of {name}; the scale on which to search it",
        "float",
        low=0,
        high=1,
        low_open=True,
        high_open=low_open,
        complement_of=name,
    )
    return rate, complement


BETAS = (
    *decay_rate("beta1", "Decay rate of the running mean of gradients", 0.9),
    *decay_rate("beta2", "Decay rate of the running mean of squared gradients", 0.999),
)


def log_range(low: float, high: float) -> dict[str, Any]:
    """A range of a default space, searched on a log scale."""
    return {"distribution": "log_uniform_values", "min": low, "max": high}


def one_of(*values: float) -> dict[str, Any]:
    """Values of a default space."""
    return {"values": list(values)}


HEAVY_BALL_SPACE: Space = {"lr": log_range(1e-4, 1.0), "one_minus_momentum": log_range(5e-3, 0.3)}  # [AP] [CV]
ADAM_SPACE: Space = {  # [CV] [S]
    "lr": log_range(1e-5, 1e-1),
    "one_minus_beta1": log_range(1e-2, 0.5),
    "one_minus_beta2": log_range(1e-3, 0.2),
}
