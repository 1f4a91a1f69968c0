"""What to search for each optimizer when nothing else is said: `space: default` in a sweep file.

In the grammar of a sweep file's parameters. Sources: [AP] AlgoPerf, Dahl et al. 2023, https://arxiv.org/abs/2306.07179;
[CV] Crowded Valley, Schmidt et al. 2021, https://arxiv.org/abs/2007.01547; [S] Sivaprasad et al. 2020,
https://arxiv.org/abs/1910.11758;
[C] Choi et al. 2019, https://arxiv.org/abs/1910.05446; [D] DeepOBS, https://openreview.net/forum?id=rJg6ssC5Y7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Space = Mapping[str, Mapping[str, Any]]


def _log(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "log_uniform_values", "min": low, "max": high}


def _of(*values: float) -> dict[str, Any]:
    return {"values": list(values)}


_HEAVY_BALL: Space = {"lr": _log(1e-4, 1.0), "one_minus_momentum": _log(5e-3, 0.3)}  # [AP] [CV]
_ADAM: Space = {  # [CV] [S]
    "lr": _log(1e-5, 1e-1),
    "one_minus_beta1": _log(1e-2, 0.5),
    "one_minus_beta2": _log(1e-3, 0.2),
}

DEFAULT_SPACES: Mapping[str, Space] = {
    "sgd": {"lr": _log(1e-3, 3.0), "weight_decay": _of(0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)},  # [D], wider
    "momentum": _HEAVY_BALL,
    "nesterov": _HEAVY_BALL,
    "adagrad": {"lr": _log(1e-3, 1.0)},  # [S]
    "rmsprop": {"lr": _log(1e-5, 1e-1), "one_minus_alpha": _log(1e-3, 0.5), "momentum": _of(0.0, 0.9)},  # [C] [CV]
    "adadelta": {"lr": _log(1e-3, 10.0), "one_minus_rho": _log(1e-3, 0.5)},  # [CV], wider
    "adam": _ADAM,
    "amsgrad": _ADAM,
    "adamax": _ADAM,
    "nadam": {"lr": _log(1e-4, 1e-2), "one_minus_beta1": _log(4e-3, 0.1)},  # [AP], whose weight decay is decoupled
    "radam": _ADAM,
    "adamw": {
        "lr": _log(1e-4, 3e-2),
        "one_minus_beta1": _log(2e-2, 0.5),
        "weight_decay": _log(5e-3, 1.0),
    },  # [AP], wider
    "rprop": {"lr": _log(1e-4, 1e-1)},  # ours
    "adafactor": {"lr": _log(1e-4, 1e-2), "weight_decay": _log(1e-3, 1.0)},  # [AP]
    "asgd": {"lr": _log(1e-3, 3.0)},  # that of sgd
    "lbfgs": {"lr": _log(1e-2, 1.0), "history_size": _of(5, 10, 20)},  # torch; for batches of 2048 and more
    "muon": {  # Jordan 2024, https://github.com/KellerJordan/cifar10-airbench
        "lr": _log(1e-3, 0.5),
        "momentum": _of(0.6, 0.9, 0.95),
        "vector_lr": _log(1e-4, 1e-1),
    },
    "lion": {"lr": _log(1e-5, 3e-3), "weight_decay": _log(1e-2, 3.0)},  # the authors' rule of thumb
    "lamb": {
        "lr": _log(1e-4, 1e-1),
        "one_minus_beta1": _log(5e-2, 0.3),
        "weight_decay": _log(1e-3, 1.0),
    },  # [AP], wider
    "shampoo": {"lr": _log(1e-4, 1e-2), "one_minus_momentum": _log(1e-2, 0.15), "precondition_every": _of(1, 10, 100)},
    "soap": {
        "lr": _log(1e-4, 1e-2),
        "one_minus_beta1": _log(1e-2, 0.15),
        "precondition_every": _of(1, 10, 100),
    },  # [AP]
    "sophia": {"lr": _log(1e-4, 1.0), "weight_decay": _log(1e-3, 1.0)},  # ours
    "adahessian": {"lr": _log(1e-3, 1.0), "one_minus_beta1": _log(1e-2, 0.5)},  # ours
    "schedule_free_sgd": {"lr": _log(1e-2, 10.0), "one_minus_momentum": _log(2e-2, 0.1)},  # ours, after the next
    "schedule_free_adamw": {"lr": _log(1e-3, 3e-2), "one_minus_beta1": _log(2e-2, 0.1)},  # the authors' entry to [AP]
    "prodigy": {"d_coef": _log(0.1, 10.0), "weight_decay": _log(1e-3, 1.0)},  # ours: it finds lr itself
    "adan": {"lr": _log(1e-5, 1e-1), "one_minus_beta1": _log(1e-2, 0.2)},  # ours
    "sam": {**_HEAVY_BALL, "rho": _log(0.01, 0.2)},  # [AP]
}
