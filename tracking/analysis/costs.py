"""What each arm's search took, what early stopping saved, and what was lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tracking.analysis.labels import format_count, format_duration
from tracking.analysis.leaderboard import searched_parameters
from tracking.names import (
    NUM_GRADIENT_EVALUATIONS,
    NUM_SAMPLES,
    NUM_STEPS,
    STAGE_SEARCH,
    TRAIN_SECONDS,
    VALIDATION_SECONDS,
)
from tracking.statistics.audit import ArmEffort, Ledger, TrialCost, audit_tuning, build_ledger
from tracking.table import SweepTable, TrialRow, Value, sum_points


@dataclass(frozen=True)
class ArmCost:
    """What one arm took.

    Attributes:
        effort: Of its search.
        ledger: What of that was saved and lost.
        num_samples: Images that the search's trials were trained on, each as often as it was; `num_steps` are steps
            of the optimizer, and `num_gradient_evaluations` the gradients that these took.
        train_seconds: Of the search's trials; `validation_seconds` likewise.
        retrained_seconds: Of all its retrainings, in training and validation.
        retrained_epochs: Of all its retrainings.
    """

    effort: ArmEffort
    ledger: Ledger
    num_samples: float
    num_steps: float
    num_gradient_evaluations: float
    train_seconds: float
    validation_seconds: float
    retrained_seconds: float
    retrained_epochs: int


def measure_costs(table: SweepTable) -> dict[str, ArmCost]:
    """Arm -> what it took; arms without a trial are left out."""
    return {arm: _measure(table, arm) for arm in table.arms if table.select(arm)}


def cost_of(trial: TrialRow) -> TrialCost:
    """What a trial took, and how long it would have been trained."""
    full = trial.parameters.get("epochs")
    return TrialCost(trial.state, trial.num_epochs, trial.seconds, full if isinstance(full, int) else trial.num_epochs)


def _measure(table: SweepTable, arm: str) -> ArmCost:
    trials = table.select(arm)
    retrained = [trial for trial in table.select(arm, None) if trial.stage != STAGE_SEARCH]
    ledger = build_ledger([cost_of(trial) for trial in trials])
    tried: dict[str, set[Value]] = {}
    for trial in trials:
        for name, value in searched_parameters(table, trial).items():
            tried.setdefault(name, set()).add(value)
    num_tuned = sum(len(values) > 1 for values in tried.values())
    return ArmCost(
        effort=ArmEffort(len(trials), ledger.num_epochs, ledger.seconds, num_tuned),
        ledger=ledger,
        num_samples=_sum(trials, NUM_SAMPLES),
        num_steps=_sum(trials, NUM_STEPS),
        num_gradient_evaluations=_sum(trials, NUM_GRADIENT_EVALUATIONS),
        train_seconds=_sum(trials, TRAIN_SECONDS),
        validation_seconds=_sum(trials, VALIDATION_SECONDS),
        retrained_seconds=sum(trial.seconds for trial in retrained),
        retrained_epochs=sum(trial.num_epochs for trial in retrained),
    )


def _sum(trials: Iterable[TrialRow], metric: str) -> float:
    return sum(sum_points(trial.history.get(metric, ())) for trial in trials)


def tell_costs(table: SweepTable) -> str:
    """Whether the arms were searched alike, and what early stopping saved and bad settings lost, over all arms."""
    costs = measure_costs(table)
    total = build_ledger([cost_of(trial) for trial in table.select()])
    parts = [
        f"{each.most} had {each.most_value} {each.quantity}, {each.least} {each.least_value}"
        for each in audit_tuning({arm: cost.effort for arm, cost in costs.items()})
    ]
    told = [f"The arms were not searched alike: {'; '.join(parts)}." if parts else ""]
    if total.saved_epochs:
        told.append(f"Early stopping saved {100 * total.saved_share:.0f} % of the epochs.")
    if total.lost_epochs:
        told.append(f"{100 * total.lost_share:.0f} % of those trained went into trials that diverged or failed.")
    return " ".join(text for text in told if text)


HEADER = (
    *("arm", "trials", "tuned", "epochs", "images seen", "steps", "gradients"),
    *("training", "validation", "saved", "lost", "retraining"),
)


def format_costs(table: SweepTable) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Header and cells of the ledger as text, a row for each arm."""
    lines = tuple(
        (
            arm,
            str(cost.effort.num_trials),
            str(cost.effort.num_dimensions),
            str(cost.effort.num_epochs),
            *map(format_count, (cost.num_samples, cost.num_steps, cost.num_gradient_evaluations)),
            *map(format_duration, (cost.train_seconds, cost.validation_seconds)),
            *map(format_duration, (cost.ledger.saved_seconds, cost.ledger.lost_seconds, cost.retrained_seconds)),
        )
        for arm, cost in measure_costs(table).items()
    )
    return HEADER, lines
