"""Networks that run compiled while they train.

Shapes: B pictures of a batch, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.tables.settings import ConfigError, Fault

# What torch's code generators call where nothing else is named: C++ for the CPU, C for the launchers of CUDA kernels.
_COMPILERS = {"cpu": ("CXX", ("g++",)), "cuda": ("CC", ("gcc", "clang"))}


def compile_model(model: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function that calls the model compiled, from the second call on; the first compiles.

    The model itself stays as it is: what calls it, in evaluation for instance, runs as before. What earlier
    calls have compiled in this process is let go, since torch gives up compiling, without an error, after some eight
    networks of one class.

    Args:
        model: On its device, where it stays.
        device: That device.

    Raises:
        ConfigError: There is no compiler for the device on this machine.
    """
    variable, names = _COMPILERS[device.type]
    named = os.environ.get(variable)  # a command, perhaps with arguments; torch takes an empty one for none
    if not any(shutil.which(name) for name in (names if named is None else shlex.split(named)[:1])):
        looked_for = f"compiler {named!r}, which {variable} names," if named is not None else " or ".join(names)
        raise ConfigError(
            [
                Fault(
                    "compile",
                    f"found true, but there is no {looked_for} on this machine, which compiled steps need; install it, "
                    "or set compile to false",
                )
            ]
        )
    torch.compiler.reset()
    compiled = torch.compile(model, dynamic=False)

    def call(images_BCHW: Tensor) -> Tensor:
        with warnings.catch_warnings():
            # The compiler looks at the gradient of what lies between its parts, on which torch remarks.
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is not a leaf")
            logits_BK: Tensor = compiled(images_BCHW)
        return logits_BK

    return call
