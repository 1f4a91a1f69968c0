import math
from collections.abc import Mapping

import numpy as np
import optuna
import pytest
from pydantic import ValidationError
from scipy import stats

from sweeps.space.distributions import Categorical, Constant, Distribution
from sweeps.space.numeric import (
    Beta,
    IntUniform,
    InvLogUniformValues,
    LogNormal,
    LogUniform,
    LogUniformValues,
    Normal,
    Uniform,
)
from sweeps.space.parameters import DISTRIBUTIONS
from sweeps.space.quantized import QBeta, QLogNormal, QLogUniform, QLogUniformValues, QNormal, QUniform

EXAMPLES: Mapping[str, Distribution] = {
    "constant": Constant(value=3),
    "categorical": Categorical(values=(1, "x", None)),
    "weighted": Categorical(values=(1, "x", None), probabilities=(0.2, 0.5, 0.3)),
    "int_uniform": IntUniform(min=-2, max=5),
    "uniform": Uniform(min=-1.5, max=2.0),
    "q_uniform": QUniform(min=0.1, max=0.7, q=0.1),
    "log_uniform": LogUniform(min=-7.0, max=-1.0),
    "log_uniform_values": LogUniformValues(min=1e-4, max=0.3),
    "q_log_uniform": QLogUniform(min=2.0, max=6.0, q=8),
    "q_log_uniform_values": QLogUniformValues(min=10.0, max=500.0, q=16),
    "inv_log_uniform_values": InvLogUniformValues(min=1e-4, max=0.3),
    "normal": Normal(mu=0.5, sigma=0.1),
    "q_normal": QNormal(mu=10.0, sigma=4.0, q=0.5),
    "log_normal": LogNormal(mu=-3.0, sigma=0.7),
    "q_log_normal": QLogNormal(mu=4.0, sigma=0.5, q=10),
    "beta": Beta(a=2.0, b=5.0),
    "q_beta": QBeta(a=2.0, b=5.0, q=0.05),
}
NUMBERS = {name: each for name, each in EXAMPLES.items() if not isinstance(each, Constant | Categorical)}
CONTINUOUS = {name: each for name, each in NUMBERS.items() if each.count is None and "q_" not in name}

# The same distributions as SciPy has them.
SCIPY = {
    "uniform": stats.uniform(-1.5, 3.5),
    "log_uniform": stats.loguniform(math.exp(-7), math.exp(-1)),
    "log_uniform_values": stats.loguniform(1e-4, 0.3),
    "inv_log_uniform_values": stats.loguniform(1e-4, 0.3),
    "normal": stats.norm(0.5, 0.1),
    "log_normal": stats.lognorm(0.7, scale=math.exp(-3)),
    "beta": stats.beta(2, 5),
}


def test_there_is_an_example_of_each() -> None:
    assert {type(each) for each in EXAMPLES.values()} == set(DISTRIBUTIONS.values())
    assert set(CONTINUOUS) == set(SCIPY)


@pytest.mark.parametrize("name", SCIPY)
def test_quantiles_are_scipys(name: str) -> None:
    coordinates = np.linspace(0.001, 0.999, 57)
    ours = [CONTINUOUS[name].at(coordinate) for coordinate in coordinates]
    np.testing.assert_allclose(ours, SCIPY[name].ppf(coordinates), rtol=1e-9)


@pytest.mark.parametrize("name", EXAMPLES)
class TestEach:
    def test_what_is_drawn_lies_in_the_domain(self, name: str) -> None:
        parameter = EXAMPLES[name]
        for coordinate in (0.0, 1e-12, 0.2, 0.5, 0.999, 1.0):
            assert parameter.contains(parameter.at(coordinate)), coordinate
        assert not parameter.contains("nothing")
        assert not parameter.contains(1e9)

    def test_ends_are_the_outermost(self, name: str) -> None:
        parameter = EXAMPLES[name]
        ends = parameter.ends()
        drawn = [parameter.at(coordinate) for coordinate in np.linspace(0, 1, 101)]
        if name in NUMBERS:
            low, high = ends
            assert all(low <= value <= high for value in drawn)  # type: ignore[operator]
        else:
            assert set(drawn) <= set(ends)

    def test_its_values_are_counted(self, name: str) -> None:
        parameter = EXAMPLES[name]
        if parameter.count is None:
            with pytest.raises(ValueError, match="no end of values"):
                list(parameter.list_values())
        else:
            values = list(parameter.list_values())
            assert len(set(values)) == parameter.count == len(values)
            assert {parameter.at(coordinate) for coordinate in np.linspace(0, 1, 2001)} <= set(values)

    def test_optuna_gives_back_what_it_is_told_that_it_gave(self, name: str) -> None:
        parameter = EXAMPLES[name]
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
        for _ in range(50):
            trial = study.ask()
            value = parameter.suggest(trial, "x")
            assert parameter.contains(value)
            assert ("x" in trial.params) is parameter.varies
            study.tell(trial, 0.0)
            if not parameter.varies:
                continue
            told = parameter.to_suggestion(value)
            if "q_" not in name or name == "q_uniform":
                assert told == trial.params["x"]
            study.enqueue_trial({"x": told})
            again = study.ask()
            assert parameter.suggest(again, "x") == value
            study.tell(again, 0.0)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name.startswith("q_") and name != "q_uniform"])
def test_q_rounds_to_the_nearest_multiple(name: str) -> None:
    parameter = EXAMPLES[name]
    plain = EXAMPLES[name.removeprefix("q_")]
    fields = {key: getattr(parameter, key) for key in type(plain).model_fields if key != "distribution"}
    unrounded = type(plain)(**fields)
    q: float = parameter.q  # type: ignore[attr-defined]
    for coordinate in np.linspace(0.05, 0.95, 41):
        value, exact = parameter.at(coordinate), unrounded.at(coordinate)
        assert abs(value - exact) <= q / 2 * (1 + 1e-9)  # type: ignore[operator]
        assert isinstance(value, int) is isinstance(q, int)


def test_no_value_leaves_the_range_by_rounding() -> None:
    parameter = QLogUniformValues(min=10.0, max=500.0, q=16)
    assert parameter.ends() == [16, 496]


def test_q_is_1_unless_it_is_given() -> None:
    assert QUniform(min=3, max=5).ends() == [3, 5]
    assert QLogUniformValues(min=3.0, max=9.0).ends() == [3, 9]


def test_probabilities_decide_how_often() -> None:
    parameter = EXAMPLES["weighted"]
    drawn = [parameter.at(coordinate) for coordinate in np.random.default_rng(0).random(10_000)]
    shares = [drawn.count(value) / len(drawn) for value in (1, "x", None)]
    np.testing.assert_allclose(shares, (0.2, 0.5, 0.3), atol=0.02)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (LogUniform, {"min": -3.0, "max": -3.0}),
        (LogNormal, {"mu": 0.0, "sigma": 300.0}),
        (QLogUniformValues, {"min": 1.5, "max": 1.9, "q": 1}),
        (QLogUniformValues, {"min": 1.5, "max": 2.9, "q": 1}),
        (QBeta, {"q": 3}),
        (Normal, {"sigma": 0.0}),
        (Beta, {"a": 0.0}),
        (Categorical, {"values": (1, 2), "probabilities": (1.0, 0.0)}),
    ],
)
def test_what_says_nothing_is_refused(kind: type[Distribution], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        kind(**fields)
