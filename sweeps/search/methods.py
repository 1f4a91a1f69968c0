"""The table of ways to search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sweeps.search.proposer import ArmSearch, Proposer
from sweeps.search.sampling import GridProposer, RandomProposer, SobolProposer
from sweeps.search.shared_space import SharedSpace
from sweeps.search.study import StudyProposer

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Method:
    """One way to search: a row of the table.

    Attributes:
        name: As in a sweep file.
        description: One line.
        source: Paper, and where the code is.
        build: Makes the proposer of one arm.
        learns: Whether outcomes of trials change what is proposed.
        learns_from_stopped: Whether those of trials that were stopped early do.
        takes_choices: Whether parameters may depend on what is chosen for another.
        takes_categories: Whether values without an order may be searched.
        takes_metrics: Whether it can look for a Pareto front of several metrics.
        min_dimensions: Least number of parameters that it can search.
        is_exhaustive: Whether each combination of the listed values is tried, and nothing else.
        draws_by_probability: Whether a value is drawn as often as its probability says.
        shares_points: Whether every arm is tried at the same points of the unit cube, and so has the same seed.
    """

    name: str
    description: str
    source: str
    build: Callable[[ArmSearch], Proposer]
    learns: bool = False
    learns_from_stopped: bool = False
    takes_choices: bool = True
    takes_categories: bool = True
    takes_metrics: bool = True
    min_dimensions: int = 1
    is_exhaustive: bool = False
    draws_by_probability: bool = False
    shares_points: bool = False


def _num_startup(search: ArmSearch) -> int:
    """Random trials before a model is made: a third of the arm's, between 3 and Optuna's 10.

    Small budgets would otherwise never leave the start-up.
    """
    return 10 if search.num_trials is None else min(10, max(3, search.num_trials // 3))


def _build_tpe(search: ArmSearch, seed: int, shared: SharedSpace) -> optuna.samplers.BaseSampler:
    from sweeps.search.tpe import SharedSpaceTpe

    return SharedSpaceTpe(shared, seed=seed, n_startup_trials=_num_startup(search))


def _build_gp(search: ArmSearch, seed: int, _: SharedSpace) -> optuna.samplers.BaseSampler:
    import optuna

    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=_num_startup(search))


def _build_cmaes(search: ArmSearch, seed: int, _: SharedSpace) -> optuna.samplers.BaseSampler:
    import optuna

    return optuna.samplers.CmaEsSampler(seed=seed, popsize=_population(search, least=4, most=10))


def _build_nsga2(search: ArmSearch, seed: int, _: SharedSpace) -> optuna.samplers.BaseSampler:
    import optuna

    return optuna.samplers.NSGAIISampler(seed=seed, population_size=_population(search, least=4, most=50))


def _population(search: ArmSearch, *, least: int, most: int) -> int:
    """A fifth of the arm's trials, so that there are about five generations."""
    return most if search.num_trials is None else min(most, max(least, search.num_trials // 5))


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "grid",
            "every combination of the listed values",
            "exhaustive enumeration",
            GridProposer,
            is_exhaustive=True,
        ),
        Method("random", "independent draws", "Bergstra and Bengio 2012", RandomProposer, draws_by_probability=True),
        Method(
            "sobol",
            "evenly spread points, the same for every arm",
            "Owen 1998; scipy.stats.qmc.Sobol",
            SobolProposer,
            draws_by_probability=True,
            shares_points=True,
        ),
        Method(
            "bayes",
            "tree-structured Parzen estimator (TPE)",
            "Bergstra et al. 2011; optuna.samplers.TPESampler",
            lambda search: StudyProposer(search, _build_tpe, learns_from_stopped=True),
            learns=True,
            learns_from_stopped=True,
        ),
        Method(
            "gp",
            "Gaussian process with expected improvement",
            "Jones et al. 1998; optuna.samplers.GPSampler",
            lambda search: StudyProposer(search, _build_gp),
            learns=True,
            takes_choices=False,
        ),
        Method(
            "cmaes",
            "evolution of a normal distribution (CMA-ES)",
            "Hansen 2016, https://arxiv.org/abs/1604.00772; optuna.samplers.CmaEsSampler",
            lambda search: StudyProposer(search, _build_cmaes, remembers=True),
            learns=True,
            takes_choices=False,
            takes_categories=False,
            takes_metrics=False,
            min_dimensions=2,
        ),
        Method(
            "genetic",
            "selection, crossover and mutation (NSGA-II)",
            "Deb et al. 2002; optuna.samplers.NSGAIISampler",
            lambda search: StudyProposer(search, _build_nsga2, remembers=True),
            learns=True,
        ),
    )
}

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHODS)]  # so that a new row is one entry
