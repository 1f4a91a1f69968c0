"""The rows of the table of optimizers that need pytorch-optimizer: `pip install 'sweeps[optimizers]'`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from trainer.tables.optimizer_row import (
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
from trainer.tables.settings import Setting, Value, get_float

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

_PACKAGE = "pytorch_optimizer"
_DECOUPLED = "Weight decay, applied to the weights directly and multiplied by the learning rate"

# The package's names for the settings that are called otherwise here.
_PACKAGE_NAMES = {
    "epsilon": "eps",
    "precondition_every": "precondition_frequency",
    "hessian_every": "update_period",
    "clip_threshold": "p",
}


def _build(
    class_name: str,
    fixed: tuple[tuple[str, Value], ...],
    parameters: Iterable[Tensor],
    settings: Mapping[str, Value],
    fused: bool,
) -> Optimizer:
    """The class of that name in pytorch-optimizer, with our settings under its names."""
    del fused  # there is none
    import pytorch_optimizer

    arguments: dict[str, object] = {
        _PACKAGE_NAMES.get(name, name): value for name, value in settings.items() if not name.startswith("beta")
    }
    betas = tuple(settings[name] for name in ("beta1", "beta2", "beta3") if name in settings)
    if betas:
        arguments["betas"] = betas
    arguments.update(fixed)
    optimizer: Optimizer = getattr(pytorch_optimizer, class_name)(parameters, **arguments)
    return optimizer


def _build_shampoo(parameters: Iterable[Tensor], settings: Mapping[str, Value], fused: bool) -> Optimizer:
    renamed = {name: value for name, value in settings.items() if name not in ("precondition_every", "matrix_epsilon")}
    renamed["preconditioning_compute_steps"] = settings["precondition_every"]
    renamed["matrix_eps"] = settings["matrix_epsilon"]
    return _build("Shampoo", (), parameters, renamed, fused)


def _build_sam(parameters: Iterable[Tensor], settings: Mapping[str, Value], fused: bool) -> Optimizer:
    del fused  # the step of the base optimizer is the smaller part of it
    import torch
    from pytorch_optimizer import SAM

    optimizer: Optimizer = SAM(
        parameters,
        torch.optim.SGD,
        lr=get_float(settings, "lr"),
        rho=get_float(settings, "rho"),
        momentum=get_float(settings, "momentum"),
        weight_decay=get_float(settings, "weight_decay"),
    )
    return optimizer


def _every(name: str, what: str, default: int) -> Setting:
    return Setting(name, f"Steps between two {what}", "int", default, low=1, unit="steps")


_BETAS_AVERAGED = (
    *decay_rate("beta1", "Weight of the average where the gradient is taken", 0.9, low_open=True),
    *decay_rate("beta2", "Decay rate of the running mean of squared gradients", 0.999),
)

EXTRA_ROWS = (
    OptimizerRow(
        name="lion",
        description="Steps by the sign of a mean of momentum and gradient: every weight moves by lr",
        source="Chen et al. 2023, algorithm 2, https://arxiv.org/abs/2302.06675; pytorch_optimizer.Lion",
        settings=(
            lr(1e-4),
            *decay_rate("beta1", "Weight of momentum in the step", 0.9),
            *decay_rate("beta2", "Decay rate of momentum", 0.99),
            weight_decay(0.0, _DECOUPLED),
        ),
        build=partial(_build, "Lion", ()),
        package=_PACKAGE,
        decoupled_weight_decay=True,
        default_space={"lr": log_range(1e-5, 3e-3), "weight_decay": log_range(1e-2, 3.0)},  # the authors' rule of thumb
    ),
    OptimizerRow(
        name="lamb",
        description="Adam whose step is scaled per layer to the size of the layer's weights; for large batches",
        source="You et al. 2020, algorithm 2 without bias correction (appendix E), layers counting as 10 at most, "
        "https://arxiv.org/abs/1904.00962; pytorch_optimizer.Lamb, whose weight decay stays outside the scaled step",
        settings=(lr(1e-3), *BETAS, epsilon(1e-6), weight_decay(0.0, _DECOUPLED)),
        # Without adam_debias the package divides lr by 1 - beta1^t, ten times lr in the first step.
        build=partial(_build, "Lamb", (("adam_debias", True),)),
        package=_PACKAGE,
        decoupled_weight_decay=True,
        default_space={
            "lr": log_range(1e-4, 1e-1),
            "one_minus_beta1": log_range(5e-2, 0.3),
            "weight_decay": log_range(1e-3, 1.0),
        },  # [AP], wider
    ),
    OptimizerRow(
        name="shampoo",
        description="Gradient times inverse roots of its second moments along each axis of a weight",
        source="Gupta, Koren and Singer 2018, algorithm 2, https://arxiv.org/abs/1802.09568; "
        "pytorch_optimizer.Shampoo, where weights rest until the first inversion, at step precondition_every, and "
        "momentum mixes the last step, preconditioned as it is, into the gradient before that is preconditioned",
        settings=(
            lr(1e-3),
            *decay_rate("momentum", "Decay rate of the sum of gradients", 0.0),
            _every("precondition_every", "inversions", 10),
            # The package's 1e-6 makes steps 1000 times as long where an inverse has not yet seen a direction: with
            # inversions every 10 steps and lr 0.1, fastcnn diverged on synthetic images in its first epoch.
            Setting(
                "matrix_epsilon", "Added to the diagonal of the second moments", "float", 1e-3, low=0, low_open=True
            ),
            weight_decay(),
        ),
        build=_build_shampoo,
        package=_PACKAGE,
        default_space={
            "lr": log_range(1e-4, 1e-2),
            "one_minus_momentum": log_range(1e-2, 0.15),
            "precondition_every": one_of(1, 10, 100),
        },
    ),
    OptimizerRow(
        name="soap",
        description="Adam in the eigenbasis of Shampoo's second moments",
        source="Vyas et al. 2024, algorithm 3, https://arxiv.org/abs/2409.11321; pytorch_optimizer.SOAP, with Adam's "
        "bias correction, Adam alone for vectors, and a first step that finds the basis and changes no weight",
        settings=(
            lr(3e-3),
            *decay_rate("beta1", "Decay rate of the running mean of gradients", 0.95),
            *decay_rate("beta2", "Decay rate of the running mean of squared gradients", 0.95),
            _every("precondition_every", "changes of the basis", 10),
            epsilon(1e-8),
            weight_decay(1e-2, _DECOUPLED),
        ),
        build=partial(_build, "SOAP", ()),
        package=_PACKAGE,
        decoupled_weight_decay=True,
        default_space={
            "lr": log_range(1e-4, 1e-2),
            "one_minus_beta1": log_range(1e-2, 0.15),
            "precondition_every": one_of(1, 10, 100),
        },  # [AP]
    ),
    OptimizerRow(
        name="sophia",
        description="Momentum over a running mean of the Hessian's diagonal, each weight's step clipped",
        source="Liu et al. 2023, algorithm 3 with Hutchinson's estimator, https://arxiv.org/abs/2305.14342; "
        "pytorch_optimizer.SophiaH, which clips to clip_threshold as the paper's first version does; in later ones "
        "clip_threshold is gamma, and lr times clip_threshold is the learning rate",
        settings=(
            lr(6e-2),
            *decay_rate("beta1", "Decay rate of the running mean of gradients", 0.96),
            *decay_rate("beta2", "Decay rate of the running mean of the Hessian's diagonal", 0.99),
            Setting(
                "clip_threshold", "Largest step of a weight, as a factor of lr", "float", 1e-2, low=0, low_open=True
            ),
            _every("hessian_every", "estimates of the Hessian", 10),
            epsilon(1e-12),
            weight_decay(0.0, _DECOUPLED),
        ),
        build=partial(_build, "SophiaH", ()),
        package=_PACKAGE,
        gradient_evaluations_per_step=None,
        differentiates_gradient=True,
        draws=True,
        decoupled_weight_decay=True,
        default_space={"lr": log_range(1e-4, 1.0), "weight_decay": log_range(1e-3, 1.0)},  # ours
    ),
    OptimizerRow(
        name="adahessian",
        description="Adam with the Hessian's diagonal, from random products with it, in place of squared gradients",
        source="Yao et al. 2021, algorithm 1 without averaging over kernels, https://arxiv.org/abs/2006.00719; "
        "pytorch_optimizer.AdaHessian, whose bias correction counts steps, not estimates: with hessian_every above 1 "
        "the first steps are longer",
        settings=(
            lr(0.1),
            *decay_rate("beta1", "Decay rate of the running mean of gradients", 0.9),
            *decay_rate("beta2", "Decay rate of the running mean of the Hessian's squared diagonal", 0.999),
            _every("hessian_every", "estimates of the Hessian", 1),
            epsilon(1e-8),
            weight_decay(0.0, _DECOUPLED),
        ),
        build=partial(_build, "AdaHessian", ()),
        package=_PACKAGE,
        gradient_evaluations_per_step=None,
        differentiates_gradient=True,
        draws=True,
        decoupled_weight_decay=True,
        default_space={"lr": log_range(1e-3, 1.0), "one_minus_beta1": log_range(1e-2, 0.5)},  # ours
    ),
    OptimizerRow(
        name="schedule_free_sgd",
        description="SGD without a schedule: the gradient is taken between the last weights and their average",
        source="Defazio et al. 2024, equations 2 to 4, https://arxiv.org/abs/2405.15682; "
        "pytorch_optimizer.ScheduleFreeSGD, whose average, weighted by lr squared as in algorithm 1, is evaluated",
        settings=(
            lr(1.0),
            *decay_rate("momentum", "Weight of the average where the gradient is taken", 0.9, low_open=True),
            weight_decay(),
        ),
        build=partial(_build, "ScheduleFreeSGD", ()),
        package=_PACKAGE,
        switches=True,
        default_space={"lr": log_range(1e-2, 10.0), "one_minus_momentum": log_range(2e-2, 0.1)},  # ours, after the next
    ),
    OptimizerRow(
        name="schedule_free_adamw",
        description="AdamW without a schedule: the gradient is taken between the last weights and their average",
        source="Defazio et al. 2024, algorithm 1, https://arxiv.org/abs/2405.15682; "
        "pytorch_optimizer.ScheduleFreeAdamW, whose average is evaluated",
        settings=(lr(2.5e-3), *_BETAS_AVERAGED, epsilon(1e-8), weight_decay(0.0, _DECOUPLED)),
        build=partial(_build, "ScheduleFreeAdamW", ()),
        package=_PACKAGE,
        switches=True,
        decoupled_weight_decay=True,
        default_space={
            "lr": log_range(1e-3, 3e-2),
            "one_minus_beta1": log_range(2e-2, 0.1),
        },  # the authors' entry to [AP]
    ),
    OptimizerRow(
        name="prodigy",
        description="Adam that finds its own learning rate from how far the weights have come; lr is a factor of that",
        source="Mishchenko and Defazio 2024, algorithm 4, https://arxiv.org/abs/2306.06101; pytorch_optimizer.Prodigy, "
        "which multiplies epsilon by the new guess, not the old one",
        settings=(
            lr(1.0),
            *BETAS,
            Setting("d0", "First guess of the distance to the solution", "float", 1e-6, low=0, low_open=True),
            Setting("d_coef", "Factor of every guess", "float", 1.0, low=0, low_open=True),
            epsilon(1e-8),
            weight_decay(0.0, _DECOUPLED),
        ),
        build=partial(_build, "Prodigy", ()),
        package=_PACKAGE,
        decoupled_weight_decay=True,
        default_space={
            "d_coef": log_range(0.1, 10.0),
            "weight_decay": log_range(1e-3, 1.0),
        },  # ours: it finds lr itself
    ),
    OptimizerRow(
        name="adan",
        description="Adam with Nesterov momentum from differences of successive gradients",
        source="Xie et al. 2024, algorithm 1 without restarts, https://arxiv.org/abs/2208.06677; "
        "pytorch_optimizer.Adan, whose means begin with zero and are corrected for it, as in the authors' code",
        settings=(
            lr(1e-3),
            *decay_rate("beta1", "Decay rate of the running mean of gradients", 0.98),
            *decay_rate("beta2", "Decay rate of the running mean of their differences", 0.92),
            *decay_rate("beta3", "Decay rate of the running mean of squares", 0.99),
            epsilon(1e-8),
            weight_decay(0.0, "Weight decay, by which the weights are divided after the step"),
        ),
        build=partial(_build, "Adan", ()),
        package=_PACKAGE,
        decoupled_weight_decay=True,
        default_space={"lr": log_range(1e-5, 1e-1), "one_minus_beta1": log_range(1e-2, 0.2)},  # ours
    ),
    OptimizerRow(
        name="sam",
        description="Momentum along the gradient at the worst point within rho of the weights: two gradients per step",
        source="Foret et al. 2021, algorithm 1, https://arxiv.org/abs/2010.01412; pytorch_optimizer.SAM around "
        "torch.optim.SGD",
        settings=(
            lr(1e-3),
            Setting("rho", "How far away the second gradient is taken", "float", 0.05, low=0),
            *decay_rate("momentum", "Decay rate of the sum of gradients", 0.9),
            weight_decay(),
        ),
        build=_build_sam,
        package=_PACKAGE,
        gradient_first=True,
        gradient_evaluations_per_step=2,
        default_space={**HEAVY_BALL_SPACE, "rho": log_range(0.01, 0.2)},  # [AP]
    ),
)
