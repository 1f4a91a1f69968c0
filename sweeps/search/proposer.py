"""What a method is: the contract of everything that proposes configurations for one arm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.space.arms import Arm
from sweeps.space.constraints import Constraint, fulfils
from tracking.ranking import Goal
from trainer.config import Value

if TYPE_CHECKING:
    from sweeps.trials.ledger import TrialEntry
    from sweeps.trials.objectives import Objective


MAX_DRAWS = 10_000  # of which one has to fulfil the constraints


@dataclass(frozen=True)
class ArmSearch:
    """What a proposer has to know of its arm's search.

    Attributes:
        arm: The space.
        seed: Of everything that is drawn.
        goal: Direction of the score.
        num_trials: Search trials of the arm, None where only time ends the search.
        constraints: What every configuration fulfils.
        points: Configurations, or parts of some, that the first trials have.
        metrics: What it is judged by, where that is more than one.
        impute: What counts where a trial diverged or failed, as in the sweep file.
    """

    arm: Arm
    seed: int
    goal: Goal = Goal.MAXIMIZE
    num_trials: int | None = None
    constraints: tuple[Constraint, ...] = ()
    points: tuple[Mapping[str, Value], ...] = ()
    metrics: tuple[Objective, ...] = ()
    impute: str | None = None

    def point(self, number: int) -> Mapping[str, Value]:
        """What is given of trial `number`; nothing once the points are used up."""
        return self.points[number] if number < len(self.points) else {}

    def first_legal(self, drawn: Iterable[dict[str, Value]]) -> dict[str, Value] | None:
        """The first of several configurations that fulfils the constraints, None where there is none."""
        return next((each for each in drawn if fulfils(each, self.constraints)), None)


def to_key(parameters: Mapping[str, Value]) -> frozenset[tuple[str, str]]:
    """What tells one configuration from another: 1, 1.0 and True are different settings."""
    return frozenset((name, repr(value)) for name, value in parameters.items())


class Proposer(ABC):
    """Proposes the search trials of one arm, numbered from 0, and hears how they went."""

    @abstractmethod
    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the parameters of search trial `number`; None when there is nothing left to try."""

    def tell(self, entry: TrialEntry) -> None:  # noqa: B027  # most methods do not listen
        """Takes in the outcome of a trial that has ended."""

    def reopen(self, entry: TrialEntry) -> bool:  # noqa: ARG002
        """Takes back what was told of a trial that was paused and goes on; False where this has to be made anew."""
        return True

    def recall(self, entry: TrialEntry) -> None:  # noqa: B027
        """Takes in a trial that an earlier driver proposed, in the order of numbers; its end is told later."""

    def learn(self, parameters: Mapping[str, Value], score: float) -> None:  # noqa: B027
        """Takes in a trial of an earlier sweep, before the first proposal."""
