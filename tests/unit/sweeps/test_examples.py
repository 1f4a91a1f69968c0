import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

import sweeps
from sweeps.errors import SpecError
from sweeps.space.arms import build_grid, searched, size
from sweeps.space.distributions import Constant
from sweeps.spec import build_json_schema, format_json_schema, load_spec
from sweeps.spec.arms import build_arms, num_search_trials
from trainer.config import build_trial_config, known_names

FOLDER = Path(sweeps.__file__).parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
SCHEMA = FOLDER / "sweep.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(build_json_schema())


def find_errors(validator: Draft202012Validator, data: object) -> Iterable[object]:
    return list(validator.iter_errors(data))


def test_there_are_the_examples_that_the_documentation_names() -> None:
    assert [path.name for path in EXAMPLES] == ["practice.yaml", "quickstart.yaml", "repro_3c3d.yaml"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
class TestExamples:
    def test_an_example_loads_under_its_own_name(self, path: Path) -> None:
        spec = load_spec(path)
        assert spec.name == path.stem
        assert spec.description

    def test_an_example_is_valid_to_an_editor(self, path: Path, validator: Draft202012Validator) -> None:
        assert find_errors(validator, YAML(typ="safe", pure=True).load(path.read_text())) == []

    def test_an_example_refers_to_the_schema_beside_it(self, path: Path) -> None:
        assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA.name}"

    def test_an_example_fits_a_page(self, path: Path) -> None:
        assert max(map(len, path.read_text().splitlines())) <= 120


def test_the_quickstart_compares_four_optimizers_over_three_parameters_with_early_stopping() -> None:
    spec = load_spec(FOLDER / "quickstart.yaml")
    arms = build_arms(spec)
    assert [arm.name for arm in arms] == ["sgd", "momentum", "rmsprop", "adam"]
    assert all(set(searched(arm)) == {"batch_size", "initializer", "lr"} for arm in arms)
    assert spec.early_terminate is not None
    assert spec.fallback == "synthetic"


def test_the_quickstart_runs_on_other_images_by_overrides() -> None:
    overrides = ["parameters.dataset=imagefolder", "parameters.data_dir=/pictures"]
    assert load_spec(FOLDER / "quickstart.yaml", overrides).name == "quickstart"


def test_the_practice_is_the_grid_of_the_course_project() -> None:
    spec = load_spec(FOLDER / "practice.yaml")
    arms = build_arms(spec)
    assert [arm.name for arm in arms] == ["sgd", "momentum", "rmsprop", "adam"]
    assert [size(arm) for arm in arms] == [24] * 4
    assert (spec.method, spec.early_terminate, spec.fallback) == ("grid", None, None)
    for arm in arms:
        grid = [build_trial_config(parameters) for parameters in build_grid(arm)]
        assert {config.optimizer.settings["lr"] for config in grid} == {0.1, 0.01, 0.001, 0.0001}
        assert {config.batch_size for config in grid} == {32, 64, 128}
        assert {config.initializer.name for config in grid} == {"glorot_uniform", "he_normal"}
        assert {config.schedule.name for config in grid} == {"reduce_on_plateau"}
        assert all(config.early_stopping_patience and config.dataset == "cifar10" for config in grid)


class TestSchema:
    def test_the_schema_beside_the_examples_is_that_of_the_models(self) -> None:
        assert json.loads(format_json_schema()) == build_json_schema()
        remedy = "write it anew: sweeps schema > sweeps/examples/sweep.schema.json"
        assert SCHEMA.read_text() == format_json_schema(), remedy

    def test_the_schema_is_one(self) -> None:
        Draft202012Validator.check_schema(build_json_schema())

    def test_the_schema_knows_every_parameter(self) -> None:
        assert set(build_json_schema()["$defs"]["optimizer_settings"]["properties"]) == known_names() | {"space"}

    @pytest.mark.parametrize(
        "parameters",
        [
            {"lr": 0.1},
            {"lr": {"value": 0.1}},
            {"lr": {"values": [0.1, 1]}},
            {"lr": {"min": 0.1, "max": 0.2}},
            {"lr": {"distribution": "log_uniform_values", "min": 0.1, "max": 0.2}},
            {"data_dir": None},
            {"flip": {"values": [True, False]}},
            {"seed": {"distribution": "q_uniform", "min": 1, "max": 9, "q": 2}},
            {"optimizer": {"choices": {"sgd": {"lr": 0.1}, "adam": {}}}},
            {"optimizer": {"choices": {"sgd": {"space": "default"}, "adamw": {"lr": 0.1}}}},
            {"initializer": {"choices": {"HeNormal": {}, "xavier_uniform": {}}}},
            {"initializer": {"values": ["zeros", "RandomNormal"]}},
        ],
        ids=str,
    )
    def test_the_schema_allows_what_the_reader_allows(
        self, validator: Draft202012Validator, tmp_path: Path, parameters: dict[str, object]
    ) -> None:
        data = {"budget": {"trials": 2}, "method": "random", "parameters": {"epochs": {"values": [1, 2]}, **parameters}}
        assert find_errors(validator, data) == []
        path = tmp_path / "sweep.yaml"
        path.write_text(json.dumps(data))
        load_spec(path)

    @pytest.mark.parametrize(
        "data",
        [
            {"parameters": {}},
            {"method": "grid"},
            {"methd": "grid", "parameters": {"lr": 0.1}},
            {"parameters": {"lr": 0}},
            {"parameters": {"lr": "high"}},
            {"parameters": {"lr": {"mim": 0.1, "max": 0.2}}},
            {"parameters": {"lr": {"values": []}}},
            {"parameters": {"learning_rate": 0.1}},
            {"parameters": {"optimizer": "adm"}},
            {"parameters": {"optimizer": {"choices": {"adm": {}}}}},
            {"parameters": {"space": "default"}},
            {"parameters": {"model": {"choices": {"plain": {"space": "default"}}}}},
            {"parameters": {"lr": 0.1}, "early_terminate": {"type": "bandit"}},
        ],
        ids=str,
    )
    def test_the_schema_refuses_what_the_reader_refuses(
        self, validator: Draft202012Validator, tmp_path: Path, data: dict[str, object]
    ) -> None:
        assert find_errors(validator, data)
        path = tmp_path / "sweep.yaml"
        path.write_text(json.dumps(data))
        with pytest.raises(SpecError):
            load_spec(path)


def test_the_reproduction_is_the_published_problem_and_chooses_nothing() -> None:
    spec = load_spec(FOLDER / "repro_3c3d.yaml")
    arms = build_arms(spec)
    assert [arm.name for arm in arms] == ["adam", "sgd"]
    assert num_search_trials(spec, arms) == {"adam": 3, "sgd": 3}
    assert (spec.confirm.top, spec.early_terminate, spec.method) == (0, None, "grid")
    assert spec.parameters["evaluate_on"] == Constant(value="test")
