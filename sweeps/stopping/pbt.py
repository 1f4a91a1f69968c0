"""Population based training: pure."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import Field

from sweeps.space.distributions import Categorical, Distribution
from sweeps.stopping.rule import CONTINUE, Decision, Rule, RuleSection, to_finite
from sweeps.trials.seeds import derive_seed
from trainer.config import Value
from trainer.config.changes import FIXED, is_off

_MAX_DRAWS = 100  # of which one has to fulfil the constraints


class Pbt(RuleSection):
    """Trials are the members of a population: the worst go on with the weights of the best, and changed settings."""

    remedy: ClassVar[str] = "a smaller interval"
    type: Literal["pbt"] = Field(description="The rule.")
    interval: int = Field(default=1, ge=1, description="Epochs between two comparisons.")
    quantile: float = Field(default=0.25, gt=0, le=0.5, description="Share that is replaced, and share that it copies.")
    resample: float = Field(default=0.25, ge=0, le=1, description="Probability that a setting is drawn anew.")
    factor: float = Field(default=1.2, gt=1, description="By which a setting is multiplied or divided otherwise.")

    def rungs(self, num_epochs: int) -> range:
        """The epochs after which the population is compared."""
        return range(self.interval, num_epochs, self.interval)


@dataclass
class PbtRule(Rule):
    """All members of a generation pause at the same epoch; the worst of them then become copies of the best.

    What becomes of a generation follows from its scores alone, so it is the same in whatever order they come in.

    Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks", section 3, with truncation selection
    (section 4.1.1). Deviation: generations wait for each other, as all members do not run at a time, and a member that
    has diverged or failed stays out.
    """

    epochs: Sequence[int]
    num_members: int
    quantile: float
    seed: int
    scores: dict[int, dict[int, float]] = field(default_factory=dict)  # epoch -> member -> score
    gone_on: dict[int, set[int]] = field(default_factory=dict)  # epoch -> members that have gone on from there
    out: set[int] = field(default_factory=set)  # members that have ended
    _waiting: dict[int, list[int]] = field(default_factory=dict)  # epoch -> members that may go on, by number

    def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:  # noqa: ARG002
        """Pauses a member at the end of a generation."""
        for earlier in sorted(self.scores, reverse=True):
            if earlier < epoch and trial in self.scores[earlier]:
                if trial in self.gone_on.get(earlier, ()):
                    break  # and from those before it as well
                self._note_gone_on(earlier, trial)
        if epoch not in self.epochs:
            return CONTINUE
        scores = self.scores.setdefault(epoch, {})
        if trial not in scores:
            scores[trial] = to_finite(score)
            if trial not in self.out:
                insort(self._waiting.setdefault(epoch, []), trial)
        if trial in self.gone_on.get(epoch, ()):
            return CONTINUE
        return Decision("pause", f"pbt: waits for its generation at epoch {epoch}")

    def record_ended(self, trial: int, epoch: int, score: float, best: float | None = None) -> None:  # noqa: ARG002
        """Nobody waits for a member that has ended."""
        self._take_out(trial)

    def withdraw(self, trial: int) -> None:
        """Nor for one that has failed, whose weights may not be on the disk."""
        self._take_out(trial)
        for epoch, scores in self.scores.items():
            if trial not in self.gone_on.get(epoch, ()):
                scores.pop(trial, None)

    def close(self, num_trials: int) -> None:
        """No more members come than these."""
        self.num_members = num_trials

    def next_promoted(self) -> int | None:
        """The next member of the earliest generation that is complete and has not gone on."""
        return next((self._waiting[epoch][0] for epoch in sorted(self._waiting) if self._is_complete(epoch)), None)

    def promote(self, trial: int) -> None:
        """Takes in that a member goes on."""
        self._note_gone_on(self._last_generation(trial), trial)

    def explain_pause(self, trial: int) -> str:
        """That its generation never was complete."""
        if not any(trial in scores for scores in self.scores.values()):  # its score is lost, with a part of the journal
            return "pbt: its generation has ended"
        return f"pbt: its generation ended at epoch {self._last_generation(trial)}"

    def find_donor(self, trial: int, epoch: int) -> int | None:
        """The member that a member becomes a copy of after a generation; None for one that stays as it is."""
        scores = self.scores.get(epoch, {})
        best_first = sorted(scores, key=lambda member: (-scores[member], member))
        count = min(math.ceil(self.quantile * len(best_first)), len(best_first) // 2)
        if trial not in best_first[len(best_first) - count :]:
            return None
        return random.Random(derive_seed(self.seed, "donor", epoch, trial)).choice(best_first[:count])

    @property
    def pause_epochs(self) -> tuple[int, ...]:
        """The ends of the generations."""
        return tuple(self.epochs)

    def _note_gone_on(self, epoch: int, trial: int) -> None:
        self.gone_on.setdefault(epoch, set()).add(trial)
        self._end_wait(epoch, trial)

    def _take_out(self, trial: int) -> None:
        self.out.add(trial)
        for epoch in list(self._waiting):
            self._end_wait(epoch, trial)

    def _end_wait(self, epoch: int, trial: int) -> None:
        waiting = self._waiting.get(epoch, [])
        place = bisect_left(waiting, trial)
        if waiting[place : place + 1] == [trial]:
            del waiting[place]
        if not waiting:
            self._waiting.pop(epoch, None)

    def _is_complete(self, epoch: int) -> bool:
        scores = self.scores[epoch]
        return len(scores) + sum(member not in scores for member in self.out) >= self.num_members

    def _last_generation(self, trial: int) -> int:
        return next(epoch for epoch in sorted(self.scores, reverse=True) if trial in self.scores[epoch])


def mutate(
    section: Pbt,
    space: Mapping[str, Distribution],
    parameters: Mapping[str, Value],
    seed: int,
    is_legal: Callable[[Mapping[str, Value]], bool],
) -> dict[str, Value]:
    """The settings of a donor, changed: each drawn anew, or multiplied or divided by a factor.

    Settings of the model, and what only matters before the first step, stay as the donor has them. In a list of values
    the next one up or down takes the place of the factor. Nothing is switched on or off, since the donor has no state
    of what it has not (a moving average, a momentum). What would leave its range is changed the other way, or
    drawn anew.

    Args:
        section: Of the sweep file.
        space: What the donor's settings were drawn from, by name.
        parameters: The donor's.
        seed: Of the change.
        is_legal: Whether the sweep allows a configuration; where no change is, the donor's settings stay.

    Source: Jaderberg et al. 2017, section 3 (explore): perturb and resample.
    """
    luck = random.Random(seed)
    changeable = {name: each for name, each in space.items() if each.varies and name not in FIXED}
    for _ in range(_MAX_DRAWS):
        changed = dict(parameters)
        for name in sorted(changeable):
            changed[name] = _change(section, changeable[name], parameters[name], luck)
        if is_legal(changed):
            return changed
    return dict(parameters)


def _change(section: Pbt, distribution: Distribution, value: Value, luck: random.Random) -> Value:
    if luck.random() < section.resample:
        drawn = distribution.at(luck.random())
        return drawn if is_off(drawn) == is_off(value) else value
    up_first = luck.random() < 0.5
    if isinstance(distribution, Categorical):
        values = list(distribution.values)
        index = values.index(value)
        steps = [index + 1, index - 1] if up_first else [index - 1, index + 1]
        near = [values[step] for step in steps if 0 <= step < len(values)]
        return next((each for each in near if is_off(each) == is_off(value)), value)
    assert isinstance(value, int | float)
    factors = [section.factor, 1 / section.factor] if up_first else [1 / section.factor, section.factor]
    candidates: list[float] = [value * factor for factor in factors]
    if distribution.gives_whole_numbers:
        candidates = [_step(value, candidate) for candidate in candidates]
    return next((each for each in candidates if distribution.contains(each)), distribution.at(luck.random()))


def _step(value: float, candidate: float) -> int:
    """The whole number nearest to the candidate that is not the value itself."""
    nearest = round(candidate)
    return nearest if nearest != value else int(value) + (1 if candidate > value else -1)
