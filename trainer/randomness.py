"""Random numbers: a stream for each purpose of each trial, never torch's global one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def stream_seed(*parts: str | int) -> int:
    """A seed in 0..2**64-1 that is unrelated to that of any other parts, and the same on every machine.

    Args:
        parts: Usually a seed, then for what it is used.
    """
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def build_generator(*parts: str | int, device: torch.device | None = None) -> torch.Generator:
    """A generator of the stream that belongs to these parts.

    Args:
        parts: Usually a seed, then for what it is used.
        device: Where it draws; None for the CPU.
    """
    import torch

    seed = stream_seed(*parts)
    signed = seed - 2**64 if seed >= 2**63 else seed  # torch reads a negative number in a way of its own
    return torch.Generator(device or torch.device("cpu")).manual_seed(signed)
