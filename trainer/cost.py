"""What a training costs, in plain values; `timing` finds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one training costs where it was measured.

    Attributes:
        epoch_seconds: Training and validation of an epoch, the median of several measurements.
        low_seconds: The same, from the fastest of them.
        high_seconds: The same, from the slowest of them.
        setup_seconds: From the request to the first step, compiling included.
        test_seconds: Evaluation of the test images.
        memory_bytes: Most that the measuring process has had, the shared images included; of a GPU where it used one.
        checkpoint_bytes: Size of a checkpoint.
    """

    epoch_seconds: float
    low_seconds: float
    high_seconds: float
    setup_seconds: float
    test_seconds: float
    memory_bytes: int
    checkpoint_bytes: int


@dataclass(frozen=True)
class Footprint:
    """What one training leaves on the disk.

    Attributes:
        checkpoint_bytes: Size of a checkpoint, once the optimizer has all of its state.
        num_metrics: Numbers that an epoch is recorded with.
    """

    checkpoint_bytes: int
    num_metrics: int
