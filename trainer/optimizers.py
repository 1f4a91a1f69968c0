"""Table of optimizers: what each is called, which settings it has, and how it is built."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.extra_optimizers import EXTRA_ROWS
from trainer.optimizer_row import OptimizerRow
from trainer.torch_optimizers import TORCH_ROWS

__all__ = ["OPTIMIZERS", "OptimizerRow"]

OPTIMIZERS: Mapping[str, OptimizerRow] = {row.name: row for row in (*TORCH_ROWS, *EXTRA_ROWS)}
