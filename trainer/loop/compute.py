"""Which arithmetic a network computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

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


def exact_arithmetic() -> AbstractContextManager[None]:
    """Makes CUDA convolutions repeat to the bit, and float32 mean float32."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Computes convolutions and products in bf16 inside the block; with "fp32" changes nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
