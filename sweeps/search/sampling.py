"""Which configuration a trial gets: one proposer per arm, and those that learn from no outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sweeps.search.proposer import MAX_DRAWS, ArmSearch, Proposer, to_key
from sweeps.space.arms import build_grid, from_unit_cube, num_dimensions
from sweeps.space.constraints import fulfils
from trainer.config import Value

if TYPE_CHECKING:
    import numpy as np

    from sweeps.trials.ledger import TrialEntry


class GridProposer(Proposer):
    """Every combination of the arm's values that fulfils the constraints, once, in the order of the file.

    Where trials were proposed from shorter lists, since the sweep has been extended, the combinations that they had are
    left out, whatever their numbers.
    """

    def __init__(self, search: ArmSearch) -> None:
        self._points = build_grid(search.arm, search.constraints)
        self._taken: set[frozenset[tuple[str, str]]] = set()
        self._first_free = 0  # all before it are taken

    def propose(self, number: int) -> dict[str, Value] | None:
        """Returns the combination of that number, or else the first without a trial."""
        if not (number < len(self._points) and self._take(self._points[number])):
            while self._first_free < len(self._points) and not self._take(self._points[self._first_free]):
                self._first_free += 1
            number = self._first_free
        return dict(self._points[number]) if number < len(self._points) else None

    def recall(self, entry: TrialEntry) -> None:
        """Takes note of a combination that has its trial."""
        is_given = bool(self._points) and "seed" in self._points[0]  # else each trial was given one of its own
        self._take({name: value for name, value in entry.parameters.items() if is_given or name != "seed"})

    def _take(self, point: Mapping[str, Value]) -> bool:
        """Whether a combination was free; from now on it is not."""
        key = to_key(point)
        is_free = key not in self._taken
        self._taken.add(key)
        return is_free


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
