"""What can be said of one arm beside another: apart from what finds it, so that telling it needs no NumPy."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What retrainings say about one arm beside another."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"
    NOT_ENOUGH_SEEDS = "not enough seeds"
    NOT_ENOUGH_TRIALS = "not enough trials"  # its settings are better; whether it is may be the luck of the search

    @property
    def reversed(self) -> Verdict:
        """The verdict on the other arm beside this one."""
        return {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}.get(self, self)
