"""Sweeps over ways to train: one file, one command, a verdict. `run_sweep` and `load_sweep` do the same from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeps.api import Sweep, load_sweep, plan_sweep, resume_sweep, run_sweep, write_report

__all__ = ["Sweep", "load_sweep", "plan_sweep", "resume_sweep", "run_sweep", "write_report"]


def __getattr__(name: str) -> object:
    # On first use only: they need MLflow, Ray and pandas, which take seconds to import.
    if name in __all__:
        from sweeps import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
