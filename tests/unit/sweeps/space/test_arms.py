import math
from itertools import product

import numpy as np
import optuna
import pytest

from sweeps.space.arms import Arm, build_grid, from_unit_cube, num_dimensions, sample, searched, size
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import IntUniform, LogUniformValues, Uniform
from sweeps.space.parameters import Choices, Parameter
from sweeps.space.quantized import QUniform
from sweeps.spec import Budget, SweepSpec
from sweeps.spec.arms import build_arms, trials_per_arm

LR = LogUniformValues(min=1e-4, max=1.0)
SHARED: dict[str, Parameter] = {
    "epochs": Constant(value=3),
    "batch_size": Categorical(values=(32, 64, 128)),
    "optimizer": Choices(
        choices={
            "sgd": {"lr": LR},
            "momentum": {"lr": LR, "momentum": Uniform(min=0.5, max=0.9)},
            "adam": {},
        }
    ),
    "crop_padding": IntUniform(min=0, max=4),
}


def draw(arm: Arm, seed: int = 0) -> tuple[dict[str, object], optuna.trial.Trial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    return dict(sample(arm, trial)), trial


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class TestArms:
    def test_without_compare_there_is_one_arm_of_everything(self) -> None:
        spec = SweepSpec(parameters=SHARED)
        assert build_arms(spec) == (Arm("all", SHARED),)

    def test_choices_become_arms_with_their_settings_behind_the_shared_parameters(self) -> None:
        arms = build_arms(SweepSpec(compare="optimizer", parameters=SHARED))
        assert [arm.name for arm in arms] == ["sgd", "momentum", "adam"]
        assert list(arms[1].parameters) == ["epochs", "batch_size", "optimizer", "crop_padding", "lr", "momentum"]
        assert arms[1].parameters["optimizer"] == Constant(value="momentum")
        assert arms[1].parameters["lr"] == LR
        assert "lr" not in arms[2].parameters

    def test_values_become_arms_named_as_they_are_written(self) -> None:
        for values, names in [
            ((0.1, 1e-05), ["0.1", "1e-05"]),
            ((True, False), ["true", "false"]),
            ((8, None), ["8", "null"]),
        ]:
            spec = SweepSpec(compare="x", parameters={"x": Categorical(values=values)})
            assert [arm.name for arm in build_arms(spec)] == names
            assert [arm.parameters["x"] for arm in build_arms(spec)] == [Constant(value=value) for value in values]

    def test_a_range_makes_no_arms(self) -> None:
        with pytest.raises(ValueError, match="nothing to compare"):
            build_arms(SweepSpec(compare="lr", parameters={"lr": LR}))

    def test_trials_are_shared_equally(self) -> None:
        def count(**budget: int) -> int | None:
            return trials_per_arm(SweepSpec(compare="optimizer", budget=Budget(**budget), parameters=SHARED))

        assert count(trials=12) == 4
        assert count(trials_per_arm=5) == 5
        assert count(hours=5) is None
        assert trials_per_arm(SweepSpec(compare="optimizer", run_cap=6, parameters=SHARED)) == 2


class TestSample:
    def test_a_configuration_is_flat_and_holds_only_the_chosen_settings(self) -> None:
        arm = Arm("all", SHARED)
        seen = set()
        for seed in range(30):
            drawn, trial = draw(arm, seed)
            seen.add(drawn["optimizer"])
            own = {"sgd": {"lr"}, "momentum": {"lr", "momentum"}, "adam": set()}[str(drawn["optimizer"])]
            assert set(drawn) == {"epochs", "batch_size", "optimizer", "crop_padding"} | own
            prefix = f"optimizer.{drawn['optimizer']}."
            assert set(trial.params) == {"batch_size", "optimizer", "crop_padding"} | {prefix + name for name in own}
        assert seen == {"sgd", "momentum", "adam"}

    def test_the_settings_of_a_compared_choice_are_suggested_by_their_plain_names(self) -> None:
        arm = build_arms(SweepSpec(compare="optimizer", parameters=SHARED))[1]
        drawn, trial = draw(arm)
        assert set(trial.params) == {"batch_size", "crop_padding", "lr", "momentum"}
        assert drawn["optimizer"] == "momentum"

    def test_values_have_the_plain_types_of_python(self) -> None:
        parameters: dict[str, Parameter] = {
            "lr": LR,
            "momentum": Uniform(min=0.0, max=1.0),
            "seed": IntUniform(min=0, max=9),
            "train_size": QUniform(min=100, max=1000, q=50),
            "label_smoothing": QUniform(min=0.1, max=0.7, q=0.1),
            "flip": Categorical(values=(True, False)),
        }
        expected = [float, float, int, int, float, bool]
        drawn, _ = draw(Arm("all", parameters))
        assert [type(value) for value in drawn.values()] == expected
        located = from_unit_cube(Arm("all", parameters), np.full(6, 0.3))
        assert [type(value) for value in located.values()] == expected

    def test_multiples_drawn_by_optuna_are_those_of_the_grid(self) -> None:
        arm = Arm("all", {"label_smoothing": QUniform(min=0.0, max=0.7, q=0.1)})
        grid = {each["label_smoothing"] for each in build_grid(arm)}
        assert {draw(arm, seed)[0]["label_smoothing"] for seed in range(80)} == grid

    def test_a_single_value_is_not_suggested(self) -> None:
        choices = Choices(choices={"sgd": {"lr": Categorical(values=(0.1,))}})
        drawn, trial = draw(Arm("all", {"optimizer": choices}))
        assert drawn == {"optimizer": "sgd", "lr": 0.1}
        assert trial.params == {}

    def test_the_tree_sampler_learns_in_a_conditional_space(self) -> None:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=4))
        for _ in range(12):
            trial = study.ask()
            drawn = sample(Arm("all", SHARED), trial)
            study.tell(trial, float(drawn["optimizer"] == "adam"))
        assert len(study.trials) == 12


class TestUnitCube:
    def test_axes_are_the_shared_parameters_first_then_those_of_the_choice(self) -> None:
        arms = build_arms(SweepSpec(compare="optimizer", parameters=SHARED))
        assert [num_dimensions(arm) for arm in arms] == [3, 4, 2]
        point_D = np.array([0.5, 0.99, 0.25, 0.75])
        sgd, momentum, adam = (from_unit_cube(arm, point_D) for arm in arms)
        shared = {"epochs": 3, "batch_size": 64, "crop_padding": 4}
        assert sgd == {**shared, "optimizer": "sgd", "lr": pytest.approx(1e-3)}
        assert momentum == {**sgd, "optimizer": "momentum", "momentum": pytest.approx(0.8)}
        assert adam == {**shared, "optimizer": "adam"}

    def test_a_choice_that_is_not_compared_takes_an_axis_and_those_of_its_largest_branch(self) -> None:
        arm = Arm("all", SHARED)
        assert num_dimensions(arm) == 1 + (1 + 2) + 1
        for first, name in [(0.0, "sgd"), (0.4, "momentum"), (1.0, "adam")]:
            located = from_unit_cube(arm, np.array([0.0, first, 0.5, 0.5, 1.0]))
            assert (located["optimizer"], located["crop_padding"]) == (name, 4)
            assert ("momentum" in located) == (name == "momentum")

    def test_the_corners_of_the_cube_are_the_ends_of_the_ranges(self) -> None:
        parameters: dict[str, Parameter] = {
            "lr": LR,
            "momentum": Uniform(min=0.5, max=0.9),
            "seed": IntUniform(min=2, max=9),
            "train_size": QUniform(min=101, max=999, q=50),
            "flip": Categorical(values=(True, False)),
        }
        arm = Arm("all", parameters)
        low, high = (tuple(from_unit_cube(arm, np.full(5, corner)).values()) for corner in (0.0, 1.0))
        assert low == (1e-4, 0.5, 2, 150, True)
        assert high == (1.0, 0.9, 9, 950, False)

    def test_every_whole_number_has_an_equal_share(self) -> None:
        arm = Arm("all", {"seed": IntUniform(min=3, max=6)})
        counts = [0] * 7
        for coordinate in (np.arange(400) + 0.5) / 400:
            counts[int(str(from_unit_cube(arm, np.array([coordinate]))["seed"]))] += 1
        assert counts[3:] == [100] * 4

    def test_a_log_range_is_even_in_factors(self) -> None:
        located = from_unit_cube(Arm("all", {"lr": LR}), np.array([0.75]))
        assert math.isclose(float(str(located["lr"])), 0.1)

    def test_a_point_with_too_few_axes_is_refused(self) -> None:
        with pytest.raises(ValueError, match="arm 'all' needs 5 axes, the point has 2"):
            from_unit_cube(Arm("all", SHARED), np.zeros(2))


class TestGrid:
    def test_the_grid_is_every_combination_the_last_parameter_fastest(self) -> None:
        parameters: dict[str, Parameter] = {
            "epochs": Constant(value=3),
            "lr": Categorical(values=(0.1, 0.01)),
            "seed": IntUniform(min=1, max=2),
            "train_size": QUniform(min=100, max=300, q=100),
        }
        expected = [
            {"epochs": 3, "lr": lr, "seed": seed, "train_size": train_size}
            for lr, seed, train_size in product((0.1, 0.01), (1, 2), (100, 200, 300))
        ]
        arm = Arm("all", parameters)
        assert list(build_grid(arm)) == expected
        assert size(arm) == len(expected) == 12

    def test_choices_bring_their_own_settings_only(self) -> None:
        choices = Choices(
            choices={
                "sgd": {},
                "momentum": {"momentum": Categorical(values=(0.5, 0.9))},
                "adam": {"beta1": Constant(value=0.8)},
            }
        )
        arm = Arm("all", {"optimizer": choices, "flip": Categorical(values=(True, False))})
        assert size(arm) == 8
        assert [each for each in build_grid(arm) if each["flip"]] == [
            {"optimizer": "sgd", "flip": True},
            {"optimizer": "momentum", "momentum": 0.5, "flip": True},
            {"optimizer": "momentum", "momentum": 0.9, "flip": True},
            {"optimizer": "adam", "beta1": 0.8, "flip": True},
        ]

    @pytest.mark.parametrize("parameter", [LR, Uniform(min=0.0, max=1.0), Choices(choices={"sgd": {"lr": LR}})])
    def test_a_continuous_arm_has_no_size_and_no_grid(self, parameter: Parameter) -> None:
        arm = Arm("all", {"x": parameter, "seed": IntUniform(min=1, max=2)})
        assert size(arm) is None
        with pytest.raises(ValueError, match="continuous"):
            build_grid(arm)

    def test_an_arm_of_constants_has_one_configuration(self) -> None:
        arm = Arm("all", {"lr": Constant(value=0.1)})
        assert (size(arm), build_grid(arm), num_dimensions(arm), searched(arm)) == (1, ({"lr": 0.1},), 0, ())


def test_searched_names_what_varies_once_those_of_choices_included() -> None:
    assert searched(Arm("all", SHARED)) == ("batch_size", "optimizer", "lr", "momentum", "crop_padding")
    single = {"batch_size": Categorical(values=(32,)), "optimizer": Choices(choices={"sgd": {"lr": LR}})}
    assert searched(Arm("all", single)) == ("lr",)
