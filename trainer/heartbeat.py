"""Signs of life of a trial's process: a number that rises as its batches go by, kept where the driver can read it.

They are in the key-value store of Ray's head, so that they take no disk and reach the driver from every node.
"""

from __future__ import annotations

import contextlib
import os
import time

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put

INTERVAL_SECONDS = 5.0  # between two signs of a trial; a batch is faster, and the head has other work
_NAMESPACE = "sweeps-signs"


class Heartbeat:
    """Gives the signs of one trial.

    Args:
        ray_id: Ray's id of the trial, which no other sweep on the cluster has.
    """

    def __init__(self, ray_id: str) -> None:
        self._ray_id = ray_id
        self._num_signs = 0
        self._next_at = 0.0

    def beat(self, trouble: str = "") -> None:
        """Gives a sign, if the last one is some seconds old.

        Args:
            trouble: What keeps the trial from going on, in words; "" where nothing does.
        """
        if time.monotonic() >= self._next_at or trouble:
            self._next_at = time.monotonic() + INTERVAL_SECONDS
            self._num_signs += 1
            with contextlib.suppress(Exception):  # no fault of the trial's; where Ray is gone, so is this process soon
                _internal_kv_put(self._ray_id, f"{os.getpid()}-{self._num_signs} {trouble}", namespace=_NAMESPACE)


def read_sign(ray_id: str) -> bytes | None:
    """The latest sign of a trial; None for none so far. A later one differs from it, also one of another process.

    Raises:
        Exception: Ray's head does not answer.
    """
    found: bytes | None = _internal_kv_get(ray_id, namespace=_NAMESPACE)
    return found


def forget_signs(ray_id: str) -> None:
    """Takes the signs of a trial that has ended off Ray's head."""
    with contextlib.suppress(Exception):  # they are small, and go with the head
        _internal_kv_del(ray_id, namespace=_NAMESPACE)


def read_trouble(sign: bytes | None) -> str:
    """What keeps a trial from going on, by its latest sign; "" where nothing does."""
    return "" if sign is None else sign.decode().partition(" ")[2]
