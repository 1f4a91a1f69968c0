"""Which configurations are trained again after the search, with which seeds, and which of them go on: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from sweeps.reader.model import Frozen, fault_at
from sweeps.trials.seeds import derive_seed
from tracking.names import STAGE_CONFIRM, STAGE_DEFAULT, STAGE_SELECT, TrialState
from tracking.ranking import Goal
from tracking.statistics.levels import MIN_RACE_SEEDS
from trainer.config import Value

if TYPE_CHECKING:
    from sweeps.trials.ledger import TrialEntry

MAX_RETRAINED = 1_000
Configuration = Mapping[str, Value]


class Select(Frozen):
    """A second look at the best of each arm, by validation, before the test split is read."""

    top: int = Field(default=3, ge=2, le=MAX_RETRAINED, description="Configurations of each arm that are looked at.")
    seeds: int = Field(default=3, ge=1, le=MAX_RETRAINED, description="Fresh seeds for each of them.")


class Confirm(Frozen):
    """The stage that retrains the best configurations of each arm and reads the test split."""

    top: int = Field(default=1, ge=0, le=MAX_RETRAINED, description="Configurations retrained per arm; 0 for none.")
    seeds: int = Field(default=1, ge=1, le=MAX_RETRAINED, description="Fresh seeds per configuration.")
    select: Select | None = Field(
        default=None,
        description="Trains the best of each arm again before; those that are best by mean validation are retrained.",
    )
    defaults: bool = Field(default=False, description="Also retrains each arm's untuned defaults, with the same seeds.")
    race: bool = Field(default=False, description="Retrains an arm no further once it can no longer win.")
    margin: float = Field(
        default=0.5, gt=0, le=100, description="Points of test accuracy that do not matter: what a tie is."
    )

    @model_validator(mode="after")
    def _check_number(self) -> Confirm:
        if self.top * self.seeds > MAX_RETRAINED:
            message = (
                f"found {self.seeds} for each of {self.top}; allowed: {MAX_RETRAINED} retrainings of an arm in all"
            )
            raise fault_at("seeds", message, "top")
        return self

    @model_validator(mode="after")
    def _check_select(self) -> Confirm:
        select = self.select
        if select is not None and self.top and select.top <= self.top:
            message = f"chooses {self.top} of {select.top}; give it a top above confirm.top, or remove it"
            raise fault_at("select", message, "top")
        if select is not None and select.top * select.seeds > MAX_RETRAINED:
            message = f"trains {select.top} for {select.seeds} seeds each; allowed: {MAX_RETRAINED} trials in all"
            raise fault_at("select", message)
        return self

    @model_validator(mode="after")
    def _check_used(self) -> Confirm:
        for key in ("select", "defaults", "race"):
            if not self.top and getattr(self, key):
                raise fault_at(key, "does nothing with top: 0, which retrains none; remove it, or give top: 1", "top")
        return self

    @model_validator(mode="after")
    def _check_race(self) -> Confirm:
        if self.race and self.seeds < MIN_RACE_SEEDS:
            message = (
                f"never drops an arm with {self.seeds} seeds: its first look is after {MIN_RACE_SEEDS - 1}; "
                f"give seeds: {MIN_RACE_SEEDS} or more, or remove it"
            )
            raise fault_at("race", message, "seeds")
        return self


@dataclass(frozen=True)
class Retraining:
    """A configuration that is to be trained again.

    Attributes:
        stage: What for: "select", "confirm" or "default".
        configuration: Every setting but the seed.
        repeat: Which of the stage's seeds it has, from 0.
    """

    stage: str
    configuration: Configuration
    repeat: int
    seed: int

    @property
    def parameters(self) -> dict[str, Value]:
        """Every setting."""
        return {**self.configuration, "seed": self.seed}


def list_candidates(ranking: Sequence[TrialEntry]) -> tuple[Configuration, ...]:
    """The configurations of an arm, best first; two trials with the same settings count once.

    That of a trial whose settings have changed is the whole course of settings that its weights have come from.

    Args:
        ranking: An arm's search trials, best first (`Ledger.ranking`).
    """
    found: dict[frozenset[tuple[str, Value]], Configuration] = {}
    for entry in ranking:
        configuration = get_configuration(entry.course or entry.parameters)
        found.setdefault(frozenset(configuration.items()), configuration)
    return tuple(found.values())


def get_configuration(parameters: Mapping[str, Value]) -> dict[str, Value]:
    """Every setting but the seed."""
    return {name: value for name, value in parameters.items() if name != "seed"}


def list_selection(
    candidates: Sequence[Configuration], select: Select | None, sweep_seed: int
) -> tuple[Retraining, ...]:
    """What is trained to choose between the best of an arm, seed by seed; none where there is nothing to choose.

    Args:
        candidates: The arm's configurations, best first.
        select: The file's section.
        sweep_seed: The seed of the sweep file. Arms share the seeds that follow from it.
    """
    if select is None or len(candidates) < 2:
        return ()
    return tuple(
        Retraining(STAGE_SELECT, configuration, repeat, derive_seed(sweep_seed, STAGE_SELECT, repeat))
        for repeat in range(select.seeds)
        for configuration in candidates[: select.top]
    )


def choose(candidates: Sequence[Configuration], selected: Sequence[TrialEntry], goal: Goal) -> list[Configuration]:
    """The configurations of an arm with the best mean over the seeds of the selection first, then the others.

    What the search saw of them does not count: of many, the luckiest comes first there. A trial that diverged counts as
    the worst. One that failed says nothing; a configuration of which all failed comes last of those looked at. Of equal
    means the one that the search ranked higher comes first.

    Args:
        candidates: As the search ranks them, best first.
        selected: The trials of the selection, which have ended.
        goal: The direction of the metric.
    """
    looked_at: dict[int, list[float | None]] = {}  # rank -> its scores
    for entry in selected:
        rank = _find_rank(candidates, get_configuration(entry.parameters))
        if rank is not None:
            looked_at.setdefault(rank, []).append(_score(entry, goal))

    def key(rank: int) -> tuple[bool, float, int]:
        scores = [score for score in looked_at[rank] if score is not None]
        mean = math.fsum(scores) / len(scores) if scores else math.inf
        return not scores, -goal.sign * mean if scores else 0.0, rank

    others = (each for rank, each in enumerate(candidates) if rank not in looked_at)
    return [*(candidates[rank] for rank in sorted(looked_at, key=key)), *others]


def _find_rank(candidates: Sequence[Configuration], configuration: Configuration) -> int | None:
    """The place of a configuration among others; None where it is none of them."""
    return next((rank for rank, each in enumerate(candidates) if each == configuration), None)


def _score(entry: TrialEntry, goal: Goal) -> float | None:
    if entry.state is TrialState.DIVERGED:
        return 0.0 if goal is Goal.MAXIMIZE else math.inf
    return entry.best_score if entry.state is TrialState.COMPLETED and math.isfinite(entry.best_score) else None


def list_retrainings(
    chosen: Sequence[Configuration], default: Configuration | None, confirm: Confirm, sweep_seed: int
) -> tuple[Retraining, ...]:
    """What is retrained of an arm, seed by seed; the seeds are fresh, and the same for all arms (paired).

    Args:
        chosen: The arm's configurations in the order of the choice.
        default: Its untuned defaults; None where they are not asked for.
        confirm: The file's section.
        sweep_seed: The seed of the sweep file.
    """
    return tuple(
        Retraining(stage, configuration, repeat, derive_seed(sweep_seed, STAGE_CONFIRM, repeat))
        for repeat in range(confirm.seeds)
        for stage, configuration in (
            *((STAGE_CONFIRM, each) for each in chosen[: confirm.top]),
            *(((STAGE_DEFAULT, default),) if default is not None and chosen and confirm.top else ()),
        )
    )
