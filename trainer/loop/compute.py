"""Which arithmetic a network computes in."""

from __future__ import annotations

import os
import shlex
import shutil
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor, nn

from trainer.tables.settings import ConfigError, Fault

Precision = Literal["fp32", "bf16"]

# Under torch's names, the last being Arm's.
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16")


def choose_precision(precision: str, device: torch.device) -> Precision:
    """The arithmetic to use: as asked, or under "auto" bf16 where it is not emulated."""
    if precision == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        capabilities = torch.cpu.get_capabilities()
        return "bf16" if any(capabilities.get(unit) for unit in _BF16_UNITS) else "fp32"
    return "bf16" if precision == "bf16" else "fp32"


def describe_units() -> dict[str, object]:
    """What this process would train on: torch's version, threads, CUDA devices, vector units, precision of "auto"."""
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    device = torch.device("cuda" if devices else "cpu")
    return {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "cuda": devices,
        "vector": torch.backends.cpu.get_cpu_capability(),
        "precision": choose_precision("auto", device),
    }


def exact_arithmetic() -> AbstractContextManager[None]:
    """Makes CUDA convolutions repeat to the bit, and float32 mean float32."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Computes convolutions and products in bf16 inside the block; with "fp32" changes nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


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
