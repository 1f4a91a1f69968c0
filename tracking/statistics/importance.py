"""Which settings decide whether a trial is among the best of its arm. The one file here that asks Optuna.

Shares alone mislead: they add up to 1 even where nothing matters. So each comes with the chance of such a value where
the setting has no effect.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracking.ranking import Goal
from tracking.statistics.edges import SearchedRange

if TYPE_CHECKING:
    import optuna

    from tracking.statistics.intervals import Vector

Choice = float | int | str | bool | None
Space = Mapping[str, SearchedRange | tuple[Choice, ...]]
"""Parameter -> its range, or its choices."""

MIN_TRIALS = 10
TARGET_SHARE = 0.25  # of the trials are the best ones
MIN_TARGETS = 3
NUM_PERMUTATIONS = 99
SEED = 0


@dataclass(frozen=True)
class Importance:
    """How much one parameter decides.

    Attributes:
        divergence: Pearson's, of where the best trials lie from where all lie; 0 for none.
        share: Of the divergences of all parameters; 0 where all are 0.
        p_value: How often the values of the trials, dealt out anew, give as much or more; at least 1/100.
    """

    parameter: str
    divergence: float
    share: float
    p_value: float


def measure_importance(
    space: Space,
    configurations: Sequence[Mapping[str, Choice]],
    values: Vector,
    goal: Goal = Goal.MAXIMIZE,
) -> tuple[Importance, ...]:
    """The parameters of one arm by how much they decide whether a trial is in the best quarter, the most first.

    All values have to be from the same epoch, a rung or the end: a trial that was trained longer is better for that
    reason alone. Where trials were stopped, that is a rung that all of them reached.

    Args:
        space: The parameters that were searched.
        configurations: Their values in each trial, n of them; one that a trial lacks did not apply to it.
        values: What each came to, shape (n,); NaN for one that diverged, which is never among the best.
        goal: The direction of the metric.

    Returns:
        Those parameters that took two values; none of them for fewer than 10 trials with a value.

    Raises:
        ValueError: A value lies outside its range, or the numbers of configurations and values differ.

    Source: Watanabe, Bansal and Hutter 2023, "PED-ANOVA"; Optuna's evaluator, with a permutation test.
    """
    if len(configurations) != len(values):
        raise ValueError(f"{len(configurations)} configurations have {len(values)} values")
    varied = {
        name: domain
        for name, domain in space.items()
        if len({each[name] for each in configurations if name in each}) > 1
    }
    finite = np.isfinite(values)
    if finite.sum() < MIN_TRIALS or not varied:
        return ()
    filled = np.where(finite, values, goal.worst(values[finite].tolist()))
    study = _build_study(varied, configurations)
    losses = -goal.sign * filled  # of which less is better
    observed = _evaluate(study, varied, losses)
    luck = np.random.default_rng(SEED)
    reached = dict.fromkeys(observed, 1)
    for _ in range(NUM_PERMUTATIONS):
        dealt = _evaluate(study, varied, luck.permutation(losses))
        for name in observed:
            reached[name] += dealt[name] >= observed[name]
    total = math.fsum(observed.values())
    return tuple(
        Importance(name, divergence, divergence / total if total else 0.0, reached[name] / (NUM_PERMUTATIONS + 1))
        for name, divergence in sorted(observed.items(), key=lambda pair: -pair[1])
    )


def _build_study(space: Space, configurations: Sequence[Mapping[str, Choice]]) -> optuna.Study:
    """The configurations as trials of a study, in their order; what each came to is told with each evaluation."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {name: _build_distribution(domain) for name, domain in space.items()}
    study = optuna.create_study()
    for configuration in configurations:
        given = {name: choice for name, choice in configuration.items() if name in space}
        study.add_trial(
            optuna.trial.create_trial(
                params=given, distributions={name: distributions[name] for name in given}, value=0.0
            )
        )
    for trial in study.get_trials(deepcopy=False):  # the same objects, which Optuna then need not compare by content
        trial.distributions = {name: distributions[name] for name in trial.distributions}
    return study


def _evaluate(study: optuna.Study, space: Space, losses: Vector) -> dict[str, float]:
    """Optuna's divergences, not normalised."""
    import optuna

    share = max(TARGET_SHARE, MIN_TARGETS / len(losses))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that less is taken to be better, as it is here
        found = evaluator.evaluate(study, target=lambda trial: float(losses[trial.number]))
    return {name: float(found.get(name, 0.0)) for name in space}


def _build_distribution(domain: SearchedRange | tuple[Choice, ...]) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, tuple):
        return CategoricalDistribution(domain)
    if domain.step == 1:
        return IntDistribution(round(domain.low), round(domain.high), log=domain.is_log)
    return FloatDistribution(domain.low, domain.high, log=domain.is_log)
