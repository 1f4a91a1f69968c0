"""Which configuration a trial gets: one proposer per arm, and those that learn from no outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeps.search.proposer import MAX_DRAWS, ArmSearch, Proposer
from sweeps.space.arms import build_grid, from_unit_cube, num_dimensions
from sweeps.space.constraints import fulfils
from trainer.config import Value

if TYPE_CHECKING:
    import numpy as np


class GridProposer(Proposer):
    """Every combination of the arm's values that fulfils the constraints, once, in the order of the file."""

    def __init__(self, search: ArmSearch) -> None:
        self._points = build_grid(search.arm, search.constraints)

    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the next combination."""
        return dict(self._points[number]) if number < len(self._points) else None


class RandomProposer(Proposer):
    """Independent draws; number n is the same whatever the order in which trials finish."""

    def __init__(self, search: ArmSearch) -> None:
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

    def __init__(self, search: ArmSearch) -> None:
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
