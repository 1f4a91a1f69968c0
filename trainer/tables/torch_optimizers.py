"""The rows of the table of optimizers that need nothing beside torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from trainer.tables.optimizer_row import (
    ADAM_SPACE,
    BETAS,
    HEAVY_BALL_SPACE,
    OptimizerRow,
    decay_rate,
    epsilon,
    log_range,
    lr,
    one_of,
    weight_decay,
)
from trainer.tables.settings import Setting, Value, get_float, get_int

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

# torch's names for the settings that are called otherwise here; settings that torch takes as one pair.
_TORCH_NAMES = {"epsilon": "eps", "clip_threshold": "d", "lr_power": "alpha"}
_PAIRS = {
    "betas": ("beta1", "beta2"),
    "etas": ("eta_minus", "eta_plus"),
    "step_sizes": ("min_step", "max_step"),
}
_IN_PAIRS = frozenset(name for pair in _PAIRS.values() for name in pair)


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
        _TORCH_NAMES.get(name, name): value for name, value in settings.items() if name not in _IN_PAIRS
    }
    for pair, (first, second) in _PAIRS.items():
        if first in settings:
            arguments[pair] = settings[first], settings[second]
    arguments.update(fixed)
    if fused:
        arguments["fused"] = True
    optimizer: Optimizer = getattr(torch.optim, class_name)(parameters, **arguments)
    return optimizer


def _build_lbfgs(parameters: Iterable[Tensor], settings: Mapping[str, Value], fused: bool) -> Optimizer:
    del fused  # there is none
    import torch

    line_search = settings["line_search"]
    return torch.optim.LBFGS(
        parameters,
        lr=get_float(settings, "lr"),
        max_iter=get_int(settings, "max_iterations"),
        history_size=get_int(settings, "history_size"),
        line_search_fn=None if line_search == "none" else str(line_search),
    )


def _build_muon(parameters: Iterable[Tensor], settings: Mapping[str, Value], fused: bool) -> Optimizer:
    del fused  # there is none
    from trainer.tables.muon import Muon

    return Muon(
        parameters,
        lr=get_float(settings, "lr"),
        momentum=get_float(settings, "momentum"),
        vector_lr=get_float(settings, "vector_lr"),
        weight_decay=get_float(settings, "weight_decay"),
    )


TORCH_ROWS = (
    OptimizerRow(
        name="sgd",
        description="Stochastic gradient descent: one step along the negative gradient",
        source="Robbins and Monro 1951, https://doi.org/10.1214/aoms/1177729586; torch.optim.SGD",
        settings=(lr(1e-3), weight_decay()),
        build=partial(_build_torch, "SGD", ()),
        fused_devices=("cpu", "cuda"),
        default_space={
            "lr": log_range(1e-3, 3.0),
            "weight_decay": one_of(0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
        },  # [D], wider
    ),
    OptimizerRow(
        name="momentum",
        description="SGD with heavy-ball momentum: steps along a decaying sum of gradients",
        source="Polyak 1964, https://doi.org/10.1016/0041-5553(64)90137-5; torch.optim.SGD(momentum=...)",
        settings=(lr(1e-3), *decay_rate("momentum", "Decay rate of the sum of gradients", 0.9), weight_decay()),
        build=partial(_build_torch, "SGD", ()),
        fused_devices=("cpu", "cuda"),
        default_space=HEAVY_BALL_SPACE,
    ),
    OptimizerRow(
        name="nesterov",
        description="SGD with Nesterov momentum: the gradient is taken where momentum leads",
        source="Sutskever et al. 2013, section 2, https://proceedings.mlr.press/v28/sutskever13.html; "
        "torch.optim.SGD(nesterov=True)",
        settings=(
            lr(1e-3),
            *decay_rate("momentum", "Decay rate of the sum of gradients", 0.9, low_open=True),
            weight_decay(),
        ),
        build=partial(_build_torch, "SGD", (("nesterov", True),)),
        fused_devices=("cpu", "cuda"),
        default_space=HEAVY_BALL_SPACE,
    ),
    OptimizerRow(
        name="adagrad",
        description="Step per weight divided by the root of the sum of all its squared gradients",
        source="Duchi, Hazan and Singer 2011, https://jmlr.org/papers/v12/duchi11a.html; torch.optim.Adagrad",
        settings=(lr(1e-2), epsilon(1e-10), weight_decay()),
        build=partial(_build_torch, "Adagrad", ()),
        fused_devices=("cpu",),
        default_space={"lr": log_range(1e-3, 1.0)},  # [S]
    ),
    OptimizerRow(
        name="rmsprop",
        description="Step per weight divided by the root of a running mean of its squared gradients",
        source="Tieleman and Hinton 2012, Coursera lecture 6.5; torch.optim.RMSprop",
        settings=(
            lr(1e-2),
            *decay_rate("alpha", "Decay rate of the running mean of squared gradients", 0.99),
            *decay_rate("momentum", "Decay rate of the sum of steps", 0.0),
            epsilon(1e-8),
            weight_decay(),
        ),
        build=partial(_build_torch, "RMSprop", ()),
        default_space={
            "lr": log_range(1e-5, 1e-1),
            "one_minus_alpha": log_range(1e-3, 0.5),
            "momentum": one_of(0.0, 0.9),
        },  # [C] [CV]
    ),
    OptimizerRow(
        name="adadelta",
        description="Step per weight times the root of a running mean of squared steps over that of squared gradients",
        source="Zeiler 2012, algorithm 1, https://arxiv.org/abs/1212.5701; torch.optim.Adadelta, "
        "whose lr multiplies the step (the paper has none, which is 1)",
        settings=(
            lr(1.0),
            *decay_rate("rho", "Decay rate of both running means", 0.9),
            epsilon(1e-6),
            weight_decay(),
        ),
        build=partial(_build_torch, "Adadelta", ()),
        default_space={"lr": log_range(1e-3, 10.0), "one_minus_rho": log_range(1e-3, 0.5)},  # [CV], wider
    ),
    OptimizerRow(
        name="adam",
        description="Running mean of gradients over the root of that of their squares, both corrected for their start",
        source="Kingma and Ba 2015, algorithm 1, https://arxiv.org/abs/1412.6980; torch.optim.Adam",
        settings=(lr(1e-3), *BETAS, epsilon(1e-8), weight_decay()),
        build=partial(_build_torch, "Adam", ()),
        fused_devices=("cpu", "cuda"),
        default_space=ADAM_SPACE,
    ),
    OptimizerRow(
        name="amsgrad",
        description="Adam whose denominator never falls: it divides by the largest running mean of squares so far",
        source="Reddi, Kale and Kumar 2018, algorithm 2, https://arxiv.org/abs/1904.09237; "
        "torch.optim.Adam(amsgrad=True), which corrects for the start as Adam does",
        settings=(lr(1e-3), *BETAS, epsilon(1e-8), weight_decay()),
        build=partial(_build_torch, "Adam", (("amsgrad", True),)),
        fused_devices=("cpu", "cuda"),
        default_space=ADAM_SPACE,
    ),
    OptimizerRow(
        name="adamax",
        description="Adam with the largest recent gradient of each weight in place of the root of a mean of squares",
        source="Kingma and Ba 2015, algorithm 2, https://arxiv.org/abs/1412.6980; torch.optim.Adamax",
        settings=(lr(2e-3), *BETAS, epsilon(1e-8), weight_decay()),
        build=partial(_build_torch, "Adamax", ()),
        default_space=ADAM_SPACE,
    ),
    OptimizerRow(
        name="nadam",
        description="Adam with Nesterov's look ahead, by a schedule that lets momentum rise at the start",
        source="Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ; torch.optim.NAdam",
        settings=(
            lr(2e-3),
            *BETAS,
            epsilon(1e-8),
            Setting("momentum_decay", "How slowly momentum rises to beta1; 0 for at once", "float", 4e-3, low=0),
            weight_decay(),
        ),
        build=partial(_build_torch, "NAdam", ()),
        default_space={
            "lr": log_range(1e-4, 1e-2),
            "one_minus_beta1": log_range(4e-3, 0.1),
        },  # [AP], whose weight decay is decoupled
    ),
    OptimizerRow(
        name="radam",
        description="Adam that steps like momentum until its running mean of squares rests on enough gradients",
        source="Liu et al. 2020, algorithm 2, https://arxiv.org/abs/1908.03265; torch.optim.RAdam",
        settings=(lr(1e-3), *BETAS, epsilon(1e-8), weight_decay()),
        build=partial(_build_torch, "RAdam", ()),
        default_space=ADAM_SPACE,
    ),
    OptimizerRow(
        name="adamw",
        description="Adam with decoupled weight decay: weights shrink by lr times weight_decay in each step",
        source="Loshchilov and Hutter 2019, algorithm 2, https://arxiv.org/abs/1711.05101; torch.optim.AdamW",
        settings=(
            lr(1e-3),
            *BETAS,
            epsilon(1e-8),
            weight_decay(1e-2, "Weight decay, applied to the weights directly and multiplied by the learning rate"),
        ),
        build=partial(_build_torch, "AdamW", ()),
        fused_devices=("cpu", "cuda"),
        decoupled_weight_decay=True,
        default_space={
            "lr": log_range(1e-4, 3e-2),
            "one_minus_beta1": log_range(2e-2, 0.5),
            "weight_decay": log_range(5e-3, 1.0),
        },  # [AP], wider
    ),
    OptimizerRow(
        name="rprop",
        description="Step per weight that grows while the gradient keeps its sign and shrinks when it turns",
        source="Riedmiller and Braun 1993, https://doi.org/10.1109/ICNN.1993.298623; torch.optim.Rprop",
        settings=(
            lr(1e-2),
            Setting(
                "eta_minus",
                "Factor of the step when the sign turns",
                "float",
                0.5,
                low=0,
                high=1,
                low_open=True,
                high_open=True,
            ),
            Setting("eta_plus", "Factor of the step while the sign stays", "float", 1.2, low=1, low_open=True),
            Setting("min_step", "Smallest step", "float", 1e-6, low=0, low_open=True),
            Setting("max_step", "Largest step", "float", 50.0, low=0, low_open=True),
        ),
        build=partial(_build_torch, "Rprop", ()),
        fixes_lr=True,
        default_space={"lr": log_range(1e-4, 1e-1)},  # ours
    ),
    OptimizerRow(
        name="adafactor",
        description="Adam's denominator from row and column means of squared gradients; large steps are scaled down",
        source="Shazeer and Stern 2018, algorithms 4 and 5, https://arxiv.org/abs/1804.04235; torch.optim.Adafactor",
        settings=(
            lr(1e-2),
            Setting("beta2_decay", "Power of the step at which the running mean's memory grows", "float", -0.8, high=0),
            Setting(
                "clip_threshold",
                "Root mean square above which a step is scaled down",
                "float",
                1.0,
                low=1,
            ),
            weight_decay(0.0, "Weight decay, applied to the weights directly and multiplied by the learning rate"),
        ),
        build=partial(_build_torch, "Adafactor", ()),
        decoupled_weight_decay=True,
        default_space={"lr": log_range(1e-4, 1e-2), "weight_decay": log_range(1e-3, 1.0)},  # [AP]
    ),
    OptimizerRow(
        name="asgd",
        description="SGD whose learning rate decays, as torch has it; its average of the weights is not used here",
        source="Polyak and Juditsky 1992, https://doi.org/10.1137/0330046; torch.optim.ASGD, whose weights, not their "
        "average, are evaluated (`ema_decay` averages weights for evaluation)",
        settings=(
            lr(1e-2),
            Setting("lambd", "Decay term of weights and learning rate", "float", 1e-4, low=0),
            Setting("lr_power", "Power of the learning rate's decay", "float", 0.75, low=0),
            weight_decay(),
        ),
        build=partial(_build_torch, "ASGD", ()),
        default_space={"lr": log_range(1e-3, 3.0)},  # that of sgd
    ),
    OptimizerRow(
        name="lbfgs",
        description="Quasi-Newton: a direction from the last changes of weights and gradients, for large batches",
        source="Liu and Nocedal 1989, https://doi.org/10.1007/BF01589116; torch.optim.LBFGS",
        settings=(
            lr(1.0),
            Setting("max_iterations", "Iterations within one step, on the same batch", "int", 20, low=1),
            Setting("history_size", "Changes that are remembered", "int", 10, low=1),
            Setting(
                "line_search",
                "How far to go along a direction",
                "str",
                "strong_wolfe",
                choices=("strong_wolfe", "none"),
            ),
        ),
        build=_build_lbfgs,
        re_evaluates=True,
        flattens=True,
        gradient_evaluations_per_step=None,
        default_space={
            "lr": log_range(1e-2, 1.0),
            "history_size": one_of(5, 10, 20),
        },  # torch; for batches of 2048 and more
    ),
    OptimizerRow(
        name="muon",
        description="Momentum whose step is made orthogonal, for dense and convolution weights; Adam for all others",
        source="Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; trainer.tables.muon, which is "
        "torch.optim.Muon in fp32, with convolutions as matrices (outputs, all else)",
        settings=(
            lr(0.02),
            Setting("momentum", "Decay rate of the sum of gradients", "float", 0.95, low=0, high=1, high_open=True),
            Setting(
                "vector_lr",
                "Learning rate of biases and normalisation, which Adam trains",
                "float",
                1e-3,
                low=0,
                low_open=True,
            ),
            weight_decay(0.0, "Weight decay, applied to the weights directly and multiplied by the learning rate"),
        ),
        build=_build_muon,
        decoupled_weight_decay=True,
        default_space={  # Jordan 2024, https://github.com/KellerJordan/cifar10-airbench
            "lr": log_range(1e-3, 0.5),
            "momentum": one_of(0.6, 0.9, 0.95),
            "vector_lr": log_range(1e-4, 1e-1),
        },
    ),
)
