"""Which configuration a trial gets: one proposer per arm, and those that learn from no outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.space.arms import Arm, build_grid, from_unit_cube, num_dimensions
from sweeps.space.constraints import Constraint, fulfils
from trainer.config.config import Value

if TYPE_CHECKING:
    import numpy as np

    from sweeps.trials.ledger import TrialEntry
    from sweeps.trials.objectives import Goal, Objective

MAX_DRAWS = 10_000  # of which one has to fulfil the constraints


@dataclass(frozen=True)
class Search:
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
    goal: Goal = "maximize"
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


class Proposer(ABC):
    """Proposes the search trials of one arm, numbered from 0, and hears how they went."""

    @abstractmethod
    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the parameters of search trial `number`; None when there is nothing left to try."""

    def tell(self, entry: TrialEntry) -> None:  # noqa: B027  # most methods do not listen
        """Takes in the outcome of a trial that has ended."""

    def recall(self, entry: TrialEntry) -> None:  # noqa: B027
        """Takes in a trial that an earlier driver proposed, in the order of numbers; its end is told later."""

    def learn(self, parameters: Mapping[str, Value], score: float) -> None:  # noqa: B027
        """Takes in a trial of an earlier sweep, before the first proposal."""


class GridProposer(Proposer):
    """Every combination of the arm's values that fulfils the constraints, once, in the order of the file."""

    def __init__(self, search: Search) -> None:
        self._points = build_grid(search.arm, search.constraints)

    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the next combination."""
        return dict(self._points[number]) if number < len(self._points) else None


class RandomProposer(Proposer):
    """Independent draws; number n is the same whatever the order in which trials finish."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns draw `number`."""
        import numpy as np

        search = self._search
        rng = np.random.default_rng((search.seed, number))
        num_axes = num_dimensions(search.arm)
        given = search.point(number)
        return search.first_legal(from_unit_cube(search.arm, rng.random(num_axes), given) for _ in range(MAX_DRAWS))


_SOBOL_DIMENSIONS = 64
_SOBOL_BLOCK = 128  # points made at once


class SobolProposer(Proposer):
    """Points of a scrambled Sobol' sequence: more even than random draws, and the same points for every arm.

    Points that do not fulfil the constraints are left out of the sequence.

    Source: Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points"; scipy.stats.qmc.Sobol.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._legal: list[dict[str, Value]] = []  # without what the points give
        self._num_read = 0

    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns point `number` of the sequence."""
        search = self._search
        if given := search.point(number):
            return search.first_legal(
                from_unit_cube(search.arm, point_D, given) for point_D in self._read(0, MAX_DRAWS)
            )
        own = number - len(search.points)
        while len(self._legal) <= own and self._num_read < MAX_DRAWS + own:
            block = self._read(self._num_read, _SOBOL_BLOCK)
            self._num_read += _SOBOL_BLOCK
            drawn = (from_unit_cube(search.arm, point_D) for point_D in block)
            self._legal += [each for each in drawn if fulfils(each, search.constraints)]
        return dict(self._legal[own]) if own < len(self._legal) else None

    def _read(self, first: int, count: int) -> np.ndarray:
        """Points of the sequence, from number `first` on, one in each row."""
        import warnings

        from scipy.stats import qmc

        # Scrambling depends on the number of dimensions, so every arm reads the first coordinates of the same points.
        num_axes = num_dimensions(self._search.arm)
        sequence = qmc.Sobol(max(_SOBOL_DIMENSIONS, num_axes), scramble=True, rng=self._search.seed)
        if first:  # SciPy 1.17 cannot fast-forward by 0
            sequence.fast_forward(first)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The balance properties of Sobol")  # of a block cut off
            points_ND: np.ndarray = sequence.random(count)[:, :num_axes]
        return points_ND
