"""Generators of random numbers: one for each purpose of each trial, never torch's global one."""

from __future__ import annotations

import hashlib

import torch


def build_generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose of one trial, unrelated to that of any other seed or purpose."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
