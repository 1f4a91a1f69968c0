"""Table of optimizers: what each is called, which settings it has, and how it is built."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.tables.extra_optimizers import EXTRA_ROWS
from trainer.tables.optimizer_row import OptimizerRow
from trainer.tables.torch_optimizers import TORCH_ROWS

__all__ = ["OPTIMIZERS", "OptimizerRow"]

OPTIMIZERS: Mapping[str, OptimizerRow] = {row.name: row for row in (*TORCH_ROWS, *EXTRA_ROWS)}
