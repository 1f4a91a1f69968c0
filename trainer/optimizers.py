"""Table of optimizers: what each is called, which settings it has, and how torch builds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from trainer.settings import Row, Setting, Value

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

BuildOptimizer = Callable[[Iterable["Tensor"], Mapping[str, Value], bool], "Optimizer"]


@dataclass(frozen=True)
class OptimizerRow(Row):
    """One optimizer.

    Attributes:
        build: (parameters, settings, fused) to the optimizer. `fused` asks for one kernel for the whole step.
        fused_devices: Device types on which a fused kernel exists.
        needs_closure: Whether `step` calls the loss itself, through a closure.
        gradient_evaluations_per_step: Backward passes that one step costs.
        decoupled_weight_decay: Whether weight decay shrinks the weights directly and is no part of the gradient.
    """

    build: BuildOptimizer
    fused_devices: tuple[str, ...] = ()
    needs_closure: bool = False
    gradient_evaluations_per_step: int = 1
    decoupled_weight_decay: bool = False

    @property
    def has_fused(self) -> bool:
        """Whether a fused kernel exists on any device."""
        return bool(self.fused_devices)


# torch's names for the settings that are called otherwise here.
_TORCH_NAMES = {"epsilon": "eps"}


def _build_torch(
    class_name: str,
    fixed: tuple[tuple[str, bool], ...],
    parameters: Iterable[Tensor],
    settings: Mapping[str, Value],
    fused: bool,
) -> Optimizer:
    """The class of that name in torch.optim, with our settings under torch's names."""
    import torch

    arguments: dict[str, object] = {
        _TORCH_NAMES.get(name, name): value for name, value in settings.items() if name not in ("beta1", "beta2")
    }
    if "beta1" in settings:
        arguments["betas"] = (settings["beta1"], settings["beta2"])
    arguments.update(fixed)
    if fused:
        arguments["fused"] = True
    optimizer: Optimizer = getattr(torch.optim, class_name)(parameters, **arguments)
    return optimizer


def _lr(default: float) -> Setting:
    return Setting("lr", "Learning rate; the peak where a schedule changes it", "float", default, low=0, low_open=True)


def _weight_decay(
    default: float = 0.0, description: str = "Weight decay, added to the gradient as an L2 penalty's"
) -> Setting:
    return Setting("weight_decay", description, "float", default, low=0)


def _epsilon(default: float) -> Setting:
    return Setting("epsilon", "Added to the denominator of the step", "float", default, low=0)


def _decay_rate(name: str, description: str, default: float, *, low_open: bool = False) -> tuple[Setting, Setting]:
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


_BETAS = (
    *_decay_rate("beta1", "Decay rate of the running mean of gradients", 0.9),
    *_decay_rate("beta2", "Decay rate of the running mean of squared gradients", 0.999),
)

_ROWS = (
    OptimizerRow(
        name="sgd",
        description="Stochastic gradient descent: one step along the negative gradient",
        source="Robbins and Monro 1951, https://doi.org/10.1214/aoms/1177729586; torch.optim.SGD",
        settings=(_lr(1e-3), _weight_decay()),
        build=partial(_build_torch, "SGD", ()),
        fused_devices=("cpu", "cuda"),
    ),
    OptimizerRow(
        name="momentum",
        description="SGD with heavy-ball momentum: steps along a decaying sum of gradients",
        source="Polyak 1964, https://doi.org/10.1016/0041-5553(64)90137-5; torch.optim.SGD(momentum=...)",
        settings=(_lr(1e-3), *_decay_rate("momentum", "Decay rate of the sum of gradients", 0.9), _weight_decay()),
        build=partial(_build_torch, "SGD", ()),
        fused_devices=("cpu", "cuda"),
    ),
    OptimizerRow(
        name="nesterov",
        description="SGD with Nesterov momentum: the gradient is taken where momentum leads",
        source="Sutskever et al. 2013, section 2, https://proceedings.mlr.press/v28/sutskever13.html; "
        "torch.optim.SGD(nesterov=True)",
        settings=(
            _lr(1e-3),
            *_decay_rate("momentum", "Decay rate of the sum of gradients", 0.9, low_open=True),
            _weight_decay(),
        ),
        build=partial(_build_torch, "SGD", (("nesterov", True),)),
        fused_devices=("cpu", "cuda"),
    ),
    OptimizerRow(
        name="adagrad",
        description="Step per weight divided by the root of the sum of all its squared gradients",
        source="Duchi, Hazan and Singer 2011, https://jmlr.org/papers/v12/duchi11a.html; torch.optim.Adagrad",
        settings=(_lr(1e-2), _epsilon(1e-10), _weight_decay()),
        build=partial(_build_torch, "Adagrad", ()),
        fused_devices=("cpu",),
    ),
    OptimizerRow(
        name="rmsprop",
        description="Step per weight divided by the root of a running mean of its squared gradients",
        source="Tieleman and Hinton 2012, Coursera lecture 6.5; torch.optim.RMSprop",
        settings=(
            _lr(1e-2),
            *_decay_rate("alpha", "Decay rate of the running mean of squared gradients", 0.99),
            *_decay_rate("momentum", "Decay rate of the sum of steps", 0.0),
            _epsilon(1e-8),
            _weight_decay(),
        ),
        build=partial(_build_torch, "RMSprop", ()),
    ),
    OptimizerRow(
        name="adadelta",
        description="Step per weight times the root of a running mean of squared steps over that of squared gradients",
        source="Zeiler 2012, algorithm 1, https://arxiv.org/abs/1212.5701; torch.optim.Adadelta, "
        "whose lr multiplies the step (the paper has none, which is 1)",
        settings=(
            _lr(1.0),
            *_decay_rate("rho", "Decay rate of both running means", 0.9),
            _epsilon(1e-6),
            _weight_decay(),
        ),
        build=partial(_build_torch, "Adadelta", ()),
    ),
    OptimizerRow(
        name="adam",
        description="Running mean of gradients over the root of that of their squares, both corrected for their start",
        source="Kingma and Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; torch.optim.Adam",
        settings=(_lr(1e-3), *_BETAS, _epsilon(1e-8), _weight_decay()),
        build=partial(_build_torch, "Adam", ()),
        fused_devices=("cpu", "cuda"),
    ),
    OptimizerRow(
        name="amsgrad",
        description="Adam whose denominator never falls: it divides by the largest running mean of squares so far",
        source="Reddi, Kale and Kumar 2018, algorithm 2, https://arxiv.org/abs/1904.09237; "
        "torch.optim.Adam(amsgrad=True), which corrects for the start as Adam does",
        settings=(_lr(1e-3), *_BETAS, _epsilon(1e-8), _weight_decay()),
        build=partial(_build_torch, "Adam", (("amsgrad", True),)),
        fused_devices=("cpu", "cuda"),
    ),
    OptimizerRow(
        name="adamax",
        description="Adam with the largest recent gradient of each weight in place of the root of a mean of squares",
        source="Kingma and Ba 2015, algorithm 2, https://arxiv.org/abs/1412.6980; torch.optim.Adamax",
        settings=(_lr(2e-3), *_BETAS, _epsilon(1e-8), _weight_decay()),
        build=partial(_build_torch, "Adamax", ()),
    ),
    OptimizerRow(
        name="nadam",
        description="Adam with Nesterov's look ahead, by a schedule that lets momentum rise at the start",
        source="Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ; torch.optim.NAdam",
        settings=(
            _lr(2e-3),
            *_BETAS,
            _epsilon(1e-8),
            Setting("momentum_decay", "How slowly momentum rises to beta1; 0 for at once", "float", 4e-3, low=0),
            _weight_decay(),
        ),
        build=partial(_build_torch, "NAdam", ()),
    ),
    OptimizerRow(
        name="radam",
        description="Adam that steps like momentum until its running mean of squares rests on enough gradients",
        source="Liu et al. 2020, algorithm 2, https://arxiv.org/abs/1908.03265; torch.optim.RAdam",
        settings=(_lr(1e-3), *_BETAS, _epsilon(1e-8), _weight_decay()),
        build=partial(_build_torch, "RAdam", ()),
    ),
    OptimizerRow(
        name="adamw",
        description="Adam with decoupled weight decay: weights shrink by lr times weight_decay in each step",
        source="Loshchilov and Hutter 2019, algorithm 2, https://arxiv.org/abs/1711.05101; torch.optim.AdamW",
        settings=(
            _lr(1e-3),
            *_BETAS,
            _epsilon(1e-8),
            _weight_decay(1e-2, "Weight decay, applied to the weights directly and multiplied by the learning rate"),
        ),
        build=partial(_build_torch, "AdamW", ()),
        fused_devices=("cpu", "cuda"),
        decoupled_weight_decay=True,
    ),
)

OPTIMIZERS: Mapping[str, OptimizerRow] = {row.name: row for row in _ROWS}
