"""Scores with their ranks, found in logarithmic time: pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping

RankKey = tuple[float, int]


class RankedScores(Mapping[int, float]):
    """Trial -> score, in the order of arrival. More is better, and of equal scores the earlier is ahead.

    A score takes its place by bisection: the ten thousandth costs what the first did.
    """

    def __init__(self) -> None:
        self._scores: dict[int, float] = {}
        self._keys: dict[int, RankKey] = {}
        self._sorted: list[RankKey] = []  # best first

    def __getitem__(self, trial: int) -> float:
        return self._scores[trial]

    def __iter__(self) -> Iterator[int]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __repr__(self) -> str:
        return f"RankedScores({self._scores})"

    def add(self, trial: int, score: float) -> None:
        """Takes in a score, which is not NaN; the first one of a trial stays."""
        if trial in self._scores:
            return
        self._keys[trial] = -score, len(self._scores)
        self._scores[trial] = score
        insort(self._sorted, self._keys[trial])

    def key(self, trial: int) -> RankKey:
        """What sorts the trials, best first."""
        return self._keys[trial]

    def find_rank(self, trial: int) -> int:
        """The rank of a trial among those that have arrived, from 1."""
        return bisect_left(self._sorted, self._keys[trial]) + 1

    def count_from(self, score: float) -> int:
        """How many have a score or a better one."""
        return bisect_right(self._sorted, (-score, len(self._sorted)))
