"""Whether the arms of a sweep were treated alike, and what the sweep spent. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracking.names import TrialState
from tracking.statistics.verdict import Verdict

if TYPE_CHECKING:
    from tracking.statistics.comparison import Comparison
    from tracking.statistics.pairs import Pair

EPOCHS_TOLERANCE = 0.1  # early stopping does not stop every arm at the same epochs


@dataclass(frozen=True)
class TrialCost:
    """What one search trial took.

    Attributes:
        num_epochs: Epochs that it was trained.
        seconds: In training and validation.
        full_epochs: That it is trained if nothing stops it.
    """

    state: TrialState | None
    num_epochs: int
    seconds: float
    full_epochs: int


@dataclass(frozen=True)
class ArmEffort:
    """What the tuning of an arm took.

    Attributes:
        seconds: In training and validation.
        num_dimensions: How many parameters were searched for it.
    """

    num_trials: int
    num_epochs: int
    seconds: float
    num_dimensions: int


@dataclass(frozen=True)
class Inequality:
    """Something that one arm had less of than another.

    Attributes:
        quantity: "trials" or "epochs".
        least, most: The two arms; `least_value` and `most_value` are what they had.
    """

    quantity: str
    least: str
    least_value: int
    most: str
    most_value: int


def audit_tuning(arms: Mapping[str, ArmEffort]) -> tuple[Inequality, ...]:
    """In what the arms were tuned unequally: numbers of trials that differ, and of epochs that differ by over 10 %.

    Seconds and dimensions differ by nature: an optimizer may be slower, or have more settings. They are to be shown.

    Source: protocol, rule 3.
    """
    if len(arms) < 2:
        return ()
    checks = (
        ("trials", {arm: effort.num_trials for arm, effort in arms.items()}, 0.0),
        ("epochs", {arm: effort.num_epochs for arm, effort in arms.items()}, EPOCHS_TOLERANCE),
    )
    found = []
    for quantity, values, tolerance in checks:
        least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
        if values[least] < (1 - tolerance) * values[most]:
            found.append(Inequality(quantity, least, values[least], most, values[most]))
    return tuple(found)


@dataclass(frozen=True)
class Inclusion:
    """An optimizer that does what another does when its own settings are chosen so.

    Attributes:
        special: The one that is contained.
        general: The one that contains it.
        needs: Settings of the general one that must be searched for this to hold, `lr` aside. One that is searched
            as one minus its value counts.
        source: Where it is shown.
    """

    special: str
    general: str
    needs: tuple[str, ...]
    source: str


_CHOI = "Choi et al. 2019, On Empirical Comparisons of Optimizers for Deep Learning, section 3.2 and appendix A"
INCLUSIONS: tuple[Inclusion, ...] = (
    Inclusion("sgd", "momentum", ("momentum",), _CHOI),
    Inclusion("sgd", "nesterov", ("momentum",), _CHOI),
    Inclusion("momentum", "rmsprop", ("momentum", "epsilon"), _CHOI),
    Inclusion("momentum", "adam", ("beta1", "epsilon"), _CHOI),
    Inclusion("nesterov", "nadam", ("beta1", "epsilon"), _CHOI),
    Inclusion("sgd", "rmsprop", ("epsilon",), _CHOI),
    Inclusion("sgd", "adam", ("beta1", "epsilon"), _CHOI),
    Inclusion("adam", "adamw", ("beta1", "beta2", "weight_decay"), "Loshchilov and Hutter 2019, algorithm 2"),
)


@dataclass(frozen=True)
class InclusionFault:
    """A tuned optimizer that lost to its own special case: its range or its budget is at fault."""

    inclusion: Inclusion
    pair: Pair


def check_inclusions(
    comparison: Comparison,
    searched: Mapping[str, Collection[str]],
    inclusions: Sequence[Inclusion] = INCLUSIONS,
) -> tuple[InclusionFault, ...]:
    """The optimizers that are worse than their special case, beyond noise.

    Only inclusions that the sweep could have found are checked: where the settings that they need were searched.

    Args:
        comparison: Of the retrainings, with the names of optimizers as arms.
        searched: Arm -> its parameters that were searched.
        inclusions: Which optimizer contains which.

    Source: protocol, rule 10; Choi et al. 2019, section 3.
    """
    found = []
    for inclusion in inclusions:
        pair = comparison.find(inclusion.general, inclusion.special)
        tuned = {name.removeprefix("one_minus_") for name in searched.get(inclusion.general, ())}
        if pair is not None and tuned.issuperset(inclusion.needs) and pair.verdict is Verdict.WORSE:
            found.append(InclusionFault(inclusion, pair))
    return tuple(found)


@dataclass(frozen=True)
class Ledger:
    """What trials took, and what became of it.

    Attributes:
        num_epochs, seconds: Of all trials together.
        saved_epochs: That trials stopped early would have gone on to the end.
        saved_seconds: These epochs, each as long as the trial's own so far.
        lost_epochs, lost_seconds: That went into trials that diverged or failed.
    """

    num_epochs: int
    seconds: float
    saved_epochs: int
    saved_seconds: float
    lost_epochs: int
    lost_seconds: float

    @property
    def saved_share(self) -> float:
        """The share that early stopping saved of what all these trials would have taken, in epochs; 0 for none."""
        full = self.num_epochs + self.saved_epochs
        return self.saved_epochs / full if full else 0.0

    @property
    def lost_share(self) -> float:
        """The share of the epochs that were trained which was lost; 0 for none."""
        return self.lost_epochs / self.num_epochs if self.num_epochs else 0.0


def build_ledger(trials: Sequence[TrialCost]) -> Ledger:
    """What trials cost, what early stopping saved, and what diverged and failed trials lost.

    Args:
        trials: Of one arm, or of all.

    Source: protocol, rule 9.
    """
    stopped = [trial for trial in trials if trial.state is TrialState.EARLY_STOPPED]
    lost = [trial for trial in trials if trial.state in (TrialState.DIVERGED, TrialState.FAILED)]
    open_epochs = [max(0, trial.full_epochs - trial.num_epochs) for trial in stopped]
    return Ledger(
        num_epochs=sum(trial.num_epochs for trial in trials),
        seconds=sum(trial.seconds for trial in trials),
        saved_epochs=sum(open_epochs),
        saved_seconds=sum(
            epochs * trial.seconds / trial.num_epochs
            for epochs, trial in zip(open_epochs, stopped, strict=True)
            if trial.num_epochs
        ),
        lost_epochs=sum(trial.num_epochs for trial in lost),
        lost_seconds=sum(trial.seconds for trial in lost),
    )
