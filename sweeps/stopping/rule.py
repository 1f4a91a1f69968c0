"""What an early-stopping rule is, and what it can say of a trial: pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from sweeps.reader.model import Frozen
from tracking.names import TrialState


@dataclass(frozen=True)
class Decision:
    """What becomes of a trial after a result.

    Attributes:
        action: "go" on; "pause", to go on later if it earns that; "stop".
        reason: Why it does not go on, in words; "" if it does.
    """

    action: Literal["go", "pause", "stop"]
    reason: str = ""


CONTINUE = Decision("go")


class RuleSection(Frozen):
    """The section of a sweep file that chooses a rule and sets it.

    Attributes:
        remedy: What to change where no rung lies within a trial's epochs; "" for a rule that judges at every epoch.
    """

    remedy: ClassVar[str] = ""
    type: str

    @property
    def judges_every_epoch(self) -> bool:
        """Whether a trial may be stopped between its rungs, too."""
        return False

    def rungs(self, num_epochs: int) -> Sequence[int]:  # noqa: ARG002
        """The epochs of a trial at which it is judged; none for a rule that judges at every epoch."""
        return ()


class Rule(ABC):
    """Judges the search trials of one arm, by their numbers within it, as their results come in.

    Scores are "larger is better"; one that is not finite counts as the worst there is. Equal scores are ranked by
    arrival, the earlier first, so that a field of equal trials (all at chance level, say) does not run to its end. What
    was said of a trial at an epoch stays, so that a trial repeated after a resume changes nothing, and only a result of
    exactly the epoch in question counts, so that none is taken in late.
    """

    @abstractmethod
    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
        """Takes in a result of a trial that may go on; the same decision when it comes again.

        Args:
            trial: Its number.
            epoch: After which it came.
            score: Of that epoch.
            best: The best score up to that epoch, by which trials are ranked in the end; None for `score`.
        """

    def record_ended(self, trial: int, epoch: int, score: float, best: float | None = None) -> None:  # noqa: B027
        """Takes in that a trial ended by itself after an epoch; with a score of NaN if it diverged."""

    def withdraw(self, trial: int) -> None:  # noqa: B027
        """Takes in that a trial failed or was stopped, and goes on no more."""

    def settle(self, trial: int, epoch: int, state: TrialState, score: float, best: float | None = None) -> None:
        """Takes in how a trial ended.

        Args:
            trial: Its number.
            epoch: After which it ended.
            state: How.
            score: Of that epoch.
            best: As for `judge`.
        """
        if state in (TrialState.FAILED, TrialState.EARLY_STOPPED):
            self.withdraw(trial)
        elif state in (TrialState.COMPLETED, TrialState.DIVERGED):
            self.record_ended(trial, epoch, math.nan if state is TrialState.DIVERGED else score, best)

    def close(self, num_trials: int) -> None:  # noqa: B027
        """Takes in that no more trials come than these."""

    def find_donor(self, trial: int, epoch: int) -> int | None:  # noqa: ARG002
        """The trial whose weights and settings another goes on with after a pause at an epoch; None for its own."""
        return None

    def next_promoted(self) -> int | None:
        """The paused trial that has earned most to go on, None where there is none; asking changes nothing."""
        return None

    def best_paused(self) -> int | None:
        """The paused trial that is furthest, and the best of those, whether it has earned to go on or not."""
        return None

    def promote(self, trial: int) -> None:
        """Takes in that a paused trial goes on."""
        raise ValueError(f"trial {trial} is not paused: this rule pauses none")

    def explain_pause(self, trial: int) -> str:
        """Why a paused trial has not gone on, in words."""
        raise ValueError(f"trial {trial} is not paused: this rule pauses none")

    @property
    def pause_epochs(self) -> tuple[int, ...]:
        """Epochs after which a trial may be paused, and needs a checkpoint."""
        return ()


class NoRule(Rule):
    """Every trial runs to its end."""

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:  # noqa: ARG002
        """Go on."""
        return CONTINUE


def to_finite(score: float) -> float:
    """The score; minus infinity for one that is not finite."""
    return score if math.isfinite(score) else -math.inf


def to_rung_score(score: float, best: float | None) -> float:
    """What a trial is ranked by at a rung: its best score so far; minus infinity if the last one is not finite."""
    return max(score, to_finite(score if best is None else best)) if math.isfinite(score) else -math.inf
