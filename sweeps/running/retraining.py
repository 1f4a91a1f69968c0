"""Which trial of the confirm stage comes next: from the ledger alone, so that a resumed sweep goes on where it was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sweeps.space.arms import Arm
from sweeps.spec.arms import build_defaults
from sweeps.trials.confirm import (
    Configuration,
    Retraining,
    choose,
    get_configuration,
    list_candidates,
    list_retrainings,
    list_selection,
)
from sweeps.trials.ledger import Ledger, TrialEntry
from sweeps.trials.naming import retraining_id
from tracking.names import STAGE_CONFIRM, STAGE_SELECT, VAL_ACCURACY, TrialState

if TYPE_CHECKING:
    from sweeps.running.sweep import RunningSweep
    from tracking.statistics.race import RaceStanding

_Key = frozenset[tuple[str, str]]
WORST_ACCURACY = 0.0  # what a retraining that diverged counts as (protocol, rule 7)


class Retrainings:
    """The confirm stage of a sweep: of each arm the selection, then what is retrained, seed by seed over all arms.

    Args:
        sweep: Whose ledger says what there is.
        arms: All arms of the sweep, in its order.
        slugs: Arm -> how the ids of its trials begin.
    """

    def __init__(self, sweep: RunningSweep, arms: Iterable[Arm], slugs: Mapping[str, str]) -> None:
        self._sweep = sweep
        self._arms = tuple(arm.name for arm in arms)
        self._slugs = slugs
        self._defaults = build_defaults(sweep.spec)
        self._candidates: dict[str, tuple[Configuration, ...]] = {}
        self._known: dict[tuple[str, str], set[_Key]] = {}  # (arm, stage) -> what its trials have been given
        self._listed: dict[str, tuple[list[Configuration], tuple[Retraining, ...]]] = {}  # arm -> from what, what
        self._raced: tuple[int, RaceStanding] | None = None  # ends of retrainings -> how the race stood then

    def is_open(self, arm: str) -> bool:
        """Whether the search of an arm is over."""
        return arm in self._candidates

    def open(self, arm: str) -> None:
        """Takes note that the search of an arm is over, and which of its configurations may be retrained."""
        self._candidates[arm] = list_candidates(self._sweep.ledger.ranking(arm))

    def next(self) -> TrialEntry | None:
        """The next trial; None while there is none to start."""
        ledger = self._sweep.ledger
        for arm, each in self._list_in_order():
            if _freeze(each) not in self._list_known(arm, each.stage):
                number = ledger.find_free_number(arm, each.stage)
                trial_id = retraining_id(self._slugs[arm], each.stage, number)
                return TrialEntry(trial_id, arm, each.stage, number, each.seed, each.parameters)
        return None

    def _list_known(self, arm: str, stage: str) -> set[_Key]:
        """What trials of an arm and a stage there are."""
        known = self._known.setdefault((arm, stage), set())
        if len(known) < self._sweep.ledger.num_proposed(arm, stage):
            known.update(_freeze(entry) for entry in self._sweep.ledger.select(arm, stage))
        return known

    def _list_in_order(self) -> Iterator[tuple[str, Retraining]]:
        """Yields what is left of each arm: selections first, then by seed, so that all arms are raced alike."""
        spec, rounds = self._sweep.spec, []
        for index, arm in enumerate(self._arms):
            candidates = self._candidates.get(arm, ())
            selection = list_selection(candidates, spec.confirm.select, spec.seed)
            yield from ((arm, each) for each in selection)
            rounds += [(each.repeat, index, each) for each in self._list_chosen(arm, selection)]
        dropped = {each.arm for each in self._race().dropped} if spec.confirm.race and rounds else set()
        for _, index, each in sorted(rounds, key=lambda entry: entry[:2]):
            if self._arms[index] not in dropped:
                yield self._arms[index], each

    def _list_chosen(self, arm: str, selection: Sequence[Retraining]) -> tuple[Retraining, ...]:
        """What is retrained of an arm; nothing as long as its selection has not ended."""
        spec = self._sweep.spec
        chosen = self._choose(arm, selection)[: spec.confirm.top]
        if arm not in self._listed or self._listed[arm][0] != chosen:
            listed = list_retrainings(chosen, self._defaults.get(arm), spec.confirm, spec.seed) if chosen else ()
            self._listed[arm] = chosen, listed
        return self._listed[arm][1]

    def _choose(self, arm: str, selection: Sequence[Retraining]) -> list[Configuration]:
        candidates = self._candidates.get(arm, ())
        selected = list(self._sweep.ledger.select(arm, STAGE_SELECT))
        over = {_freeze(each) for each in selected if _is_over(each)}
        # Before a sweep was extended others may have been looked at, which says something of those alone.
        if len(over) < len(selected) or not all(_freeze(each) in over for each in selection):
            return []
        return choose(candidates, selected, self._sweep.goal)

    def _race(self) -> RaceStanding:
        from tracking.statistics.race import follow_race

        ended = find_ended(self._sweep.ledger, self._list_first())
        num_ended = sum(map(len, ended.values()))
        if self._raced is None or self._raced[0] != num_ended:
            num_planned = self._sweep.spec.confirm.seeds
            standing = follow_race(ended, num_planned=num_planned, worst=WORST_ACCURACY)
            self._raced = num_ended, standing
        return self._raced[1]

    def _list_first(self) -> dict[str, tuple[Configuration, dict[int, int]] | None]:
        """Arm -> the configuration that stands for it in the race, with seed -> its number; None while not chosen.

        Arms of which no trial has a rank are left out: there is nothing to retrain.
        """
        spec = self._sweep.spec
        found: dict[str, tuple[Configuration, dict[int, int]] | None] = {}
        for arm in self._arms:
            candidates = self._candidates.get(arm)
            if candidates == ():
                continue
            selection = list_selection(candidates or (), spec.confirm.select, spec.seed)
            first = [each for each in self._list_chosen(arm, selection) if each.stage == STAGE_CONFIRM]
            if not first:
                found[arm] = None
                continue
            same = [each for each in first if each.configuration == first[0].configuration]
            found[arm] = first[0].configuration, {each.seed: each.repeat for each in same}
        return found


def find_ended(
    ledger: Ledger, first: Mapping[str, tuple[Configuration, Mapping[int, int]] | None]
) -> dict[str, dict[int, float | None]]:
    """What the race looks at: validation accuracies, so that the test split decides nothing before the verdict.

    Args:
        ledger: Of the sweep.
        first: Arm -> the configuration that stands for it, and seed -> number of that seed; None while not chosen.

    Returns:
        Arm -> number of the seed -> best validation accuracy; NaN for a retraining that diverged, None for one that
        failed.
    """
    found: dict[str, dict[int, float | None]] = {}
    for arm, chosen in first.items():
        found[arm] = {}
        if chosen is None:
            continue
        configuration, numbers = chosen
        for entry in ledger.select(arm, STAGE_CONFIRM):
            if _is_over(entry) and entry.seed in numbers and get_configuration(entry.parameters) == configuration:
                found[arm][numbers[entry.seed]] = _accuracy(entry)
    return found


def _accuracy(entry: TrialEntry) -> float | None:
    if entry.state is TrialState.DIVERGED:
        return math.nan
    return entry.values.get(VAL_ACCURACY) if entry.state is TrialState.COMPLETED else None


def _is_over(entry: TrialEntry) -> bool:
    """Whether a trial has ended, and not with a driver whose sweep can be resumed."""
    return entry.ended and entry.state is not TrialState.STOPPED


def _freeze(trial: TrialEntry | Retraining) -> _Key:
    """What tells one retraining from another: 1, 1.0 and True are different settings."""
    return frozenset((name, repr(value)) for name, value in trial.parameters.items())
