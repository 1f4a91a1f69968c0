import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from sweeps.errors import SpecError
from sweeps.reader.text import parse_text
from sweeps.reader.tree import Scalar
from sweeps.space.arms import build_grid
from sweeps.space.distributions import Categorical, Constant
from sweeps.space.numeric import IntUniform, LogUniformValues, Uniform
from sweeps.space.parameters import Choices
from sweeps.space.quantized import QLogUniformValues, QUniform
from sweeps.spec import Budget, Confirm, Metric, Resources, SweepSpec, dump_spec, load_spec
from sweeps.spec.arms import build_arms
from sweeps.stopping.asha import Asha
from sweeps.stopping.hyperband import Hyperband
from trainer.config import build_trial_config

WHOLE = """
name: optimizers
description: which is best
project: cifar10
method: bayes
metric: {name: val_accuracy, goal: maximize}
compare: optimizer
budget: {trials_per_arm: 25, hours: 8, max_consecutive_failures: 3}
early_terminate: {type: asha, min_iter: 1, max_iter: 27, eta: 3}
confirm: {top: 1, seeds: 10}
resources: {cpu: 1, gpu: 0}
seed: 7
fallback: synthetic
parameters:
  epochs: 27
  model: fastcnn
  batch_size: {values: [32, 64, 128]}
  initializer: {values: [glorot_uniform, he_normal]}
  train_size: {distribution: q_uniform, min: 1000, max: 5000, q: 500}
  crop_padding: {min: 0, max: 4}
  label_smoothing: {distribution: q_uniform, min: 0.0, max: 0.3, q: 0.1}
  optimizer:
    choices:
      sgd:      {lr: {distribution: log_uniform_values, min: 1e-3, max: 3}}
      momentum: {lr: {distribution: log_uniform_values, min: 1e-4, max: 1}, momentum: {min: 0.5, max: 0.99}}
      adam:     {lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}, beta1: {value: 0.9}}
      adagrad:  {}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., SweepSpec]:
    """Loads a text with overrides."""

    def load(text: str, *overrides: str) -> SweepSpec:
        path = tmp_path / "sweep.yaml"
        path.write_text(dedent(text).lstrip("\n"))
        return load_spec(path, overrides)

    return load


@pytest.fixture
def faults_of(load: Callable[..., SweepSpec], tmp_path: Path) -> Callable[..., list[str]]:
    """The faults of a text with overrides, without the path of the file."""

    def faults_of(text: str, *overrides: str) -> list[str]:
        with pytest.raises(SpecError) as caught:
            load(text, *overrides)
        return [str(fault).removeprefix(f"{tmp_path / 'sweep.yaml'}:") for fault in caught.value.faults]

    return faults_of


class TestLoad:
    def test_a_whole_file_becomes_its_models(self, load: Callable[..., SweepSpec]) -> None:
        def log(low: float, high: float) -> LogUniformValues:
            return LogUniformValues(min=low, max=high)

        assert load(WHOLE) == SweepSpec(
            name="optimizers",
            description="which is best",
            project="cifar10",
            method="bayes",
            metric=Metric(name="val_accuracy", goal="maximize"),
            compare="optimizer",
            budget=Budget(trials_per_arm=25, hours=8.0, max_consecutive_failures=3),
            early_terminate=Asha(min_iter=1, max_iter=27, eta=3),
            confirm=Confirm(top=1, seeds=10),
            resources=Resources(cpu=1, gpu=0.0),
            seed=7,
            fallback="synthetic",
            parameters={
                "epochs": Constant(value=27),
                "model": Constant(value="fastcnn"),
                "batch_size": Categorical(values=(32, 64, 128)),
                "initializer": Categorical(values=("glorot_uniform", "he_normal")),
                "train_size": QUniform(min=1000, max=5000, q=500),
                "crop_padding": IntUniform(min=0, max=4),
                "label_smoothing": QUniform(min=0.0, max=0.3, q=0.1),
                "optimizer": Choices(
                    choices={
                        "sgd": {"lr": log(1e-3, 3.0)},
                        "momentum": {"lr": log(1e-4, 1.0), "momentum": Uniform(min=0.5, max=0.99)},
                        "adam": {"lr": log(1e-5, 1e-1), "beta1": Constant(value=0.9)},
                        "adagrad": {},
                    }
                ),
            },
        )

    def test_the_order_of_parameters_is_that_of_the_file(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("method: grid\nparameters: {lr: 1.0, seed: 1, batch_size: 32, epochs: 3}")
        assert list(spec.parameters) == ["lr", "seed", "batch_size", "epochs"]

    def test_everything_but_parameters_has_a_default(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("budget: {trials: 3}\nparameters: {lr: {min: 0.1, max: 1.0}}")
        assert (spec.name, spec.project, spec.method, spec.seed) == ("sweep", "cifar10", "bayes", 0)
        assert (spec.compare, spec.early_terminate, spec.fallback, spec.run_cap) == ((), None, None, None)
        assert (spec.metric, spec.confirm, spec.resources) == (Metric(), Confirm(), Resources())

    def test_the_name_is_the_files_unless_it_is_given(self, tmp_path: Path) -> None:
        path = tmp_path / "my first sweep.yaml"
        path.write_text("method: grid\nparameters: {lr: 0.1}")
        assert load_spec(path).name == "my first sweep"
        assert load_spec(path).slug == "my-first-sweep"
        assert load_spec(path, ["name=other"]).name == "other"

    def test_a_name_without_plain_letters_still_makes_a_folder_name(self, load: Callable[..., SweepSpec]) -> None:
        assert load("name: 実験\nmethod: grid\nparameters: {lr: 0.1}").slug == "sweep"

    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("1e-3", 0.001),
            ("1.5e3", 1500.0),
            ("0x10", 16),
            ("1", 1),
            ("true", True),
            ("yes", "yes"),
            ("no", "no"),
            ("2026-11-24", "2026-11-24"),
            ("012", 12),
            ("'7'", "7"),
            ("null", None),
            ("~", None),
        ],
    )
    def test_values_are_read_as_yaml_1_2(self, written: str, expected: object) -> None:
        node = parse_text(written, "text", [])
        assert isinstance(node, Scalar)
        assert (node.value, type(node.value)) == (expected, type(expected))

    def test_a_sweep_file_of_weights_and_biases_loads_unchanged(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("""
            description: a sweep
            method: random
            metric: {name: val_loss, goal: minimize}
            run_cap: 30
            parameters:
              optimizer: {values: [adam, sgd]}
              lr: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
              batch_size: {distribution: q_uniform, min: 32, max: 256, q: 32}
              epochs: {value: 5}
              label_smoothing: {min: 0.0, max: 0.2}
              seed: {min: 1, max: 3}
        """)
        assert (spec.num_trials, spec.metric.goal) == (30, "minimize")
        assert spec.parameters["seed"] == IntUniform(min=1, max=3)
        assert spec.parameters["label_smoothing"] == Uniform(min=0.0, max=0.2)

    def test_the_goal_follows_from_the_metric(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("method: grid\nmetric: {name: val_loss}\nparameters: {lr: 0.1}")
        assert spec.metric == Metric(name="val_loss", goal="minimize")

    def test_anchors_and_merges_of_yaml_work(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("""
            method: random
            budget: {trials: 3}
            parameters:
              optimizer:
                choices:
                  sgd: &own
                    lr: &lr {min: 0.1, max: 1.0}
                  momentum: {<<: *own, momentum: 0.5}
                  nesterov: {lr: *lr}
        """)
        optimizer = spec.parameters["optimizer"]
        assert isinstance(optimizer, Choices)
        assert {name: dict(settings) for name, settings in optimizer.choices.items()} == {
            "sgd": {"lr": Uniform(min=0.1, max=1.0)},
            "momentum": {"lr": Uniform(min=0.1, max=1.0), "momentum": Constant(value=0.5)},
            "nesterov": {"lr": Uniform(min=0.1, max=1.0)},
        }

    def test_an_explicit_null_switches_off(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("method: grid\nearly_terminate: null\ncompare: ~\nparameters: {data_dir: null, lr: 0.1}")
        assert (spec.early_terminate, spec.compare) == (None, ())
        assert spec.parameters["data_dir"] == Constant(value=None)

    def test_a_byte_order_mark_is_no_fault(self, tmp_path: Path) -> None:
        path = tmp_path / "sweep.yaml"
        path.write_bytes(b"\xef\xbb\xbfmethod: grid\r\nparameters: {lr: 0.1}\r\n")
        assert load_spec(path).method == "grid"

    def test_a_minus_reads_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Standard:
            buffer = io.BytesIO(b"method: grid\nparameters: {lr: -1}")

        monkeypatch.setattr(sys, "stdin", Standard)
        with pytest.raises(SpecError, match=r"^<stdin>:2:18: parameters.lr: found -1; "):
            load_spec("-")

    def test_loading_imports_nothing_heavy(self, tmp_path: Path) -> None:
        path = tmp_path / "sweep.yaml"
        path.write_text(WHOLE)
        code = (
            "import sys; from sweeps.spec import load_spec; from sweeps.spec.arms import build_arms;"
            "build_arms(load_spec(sys.argv[1]));"
            "print(sorted({'torch', 'ray', 'mlflow', 'optuna', 'pandas', 'scipy', 'plotly'} & set(sys.modules)))"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.strip() == "[]"


class TestOverrides:
    def test_an_override_sets_replaces_and_adds(self, load: Callable[..., SweepSpec]) -> None:
        spec = load(
            WHOLE,
            "parameters.batch_size=64",
            "parameters.optimizer.choices.sgd.lr.min=1e-2",
            "parameters.dataset=imagefolder",
            "parameters.data_dir=/pictures",
            "budget={trials_per_arm: 2}",
            "early_terminate=null",
        )
        assert spec.parameters["batch_size"] == Constant(value=64)
        optimizer = spec.parameters["optimizer"]
        assert isinstance(optimizer, Choices)
        assert optimizer.choices["sgd"]["lr"] == LogUniformValues(min=0.01, max=3.0)
        assert spec.parameters["data_dir"] == Constant(value="/pictures")
        assert (spec.budget, spec.early_terminate) == (Budget(trials_per_arm=2), None)

    def test_an_override_may_open_a_section_that_the_file_lacks(self, load: Callable[..., SweepSpec]) -> None:
        spec = load("method: grid\nparameters: {lr: 0.1}", "early_terminate.eta=4", "confirm.seeds=2")
        assert (spec.early_terminate, spec.confirm) == (Asha(eta=4), Confirm(seeds=2))

    def test_later_overrides_may_refine_earlier_ones(self, load: Callable[..., SweepSpec]) -> None:
        spec = load(WHOLE, "early_terminate={min_iter: 2}", "early_terminate.eta=2")
        assert spec.early_terminate == Asha(min_iter=2, eta=2)

    @pytest.mark.parametrize(
        ("override", "fault"),
        [
            ("parameters.lr.mim=3", "unknown key; did you mean 'min'?"),
            ("parameters.seed.mim=3", "unknown key; did you mean 'min'?"),
            ("parameters={lr: {mim: 3}}", "parameters.lr.mim: unknown key; did you mean 'min'?"),
            ("colour=red", "unknown key; allowed: name, "),
            ("seed", "write it as KEY=VALUE, for example parameters.epochs=3"),
            ("=3", "write it as KEY=VALUE"),
            ("seed=", "has no value; write null to switch a key off"),
            ("seed=x", "found 'x'; allowed: a whole number from 0"),
            ("seed=[1", "a quote or bracket is not closed"),
            ("name=a # b", "'# b' would be read as a comment; put the value in quotes"),
            ("name.x=3", "'name' holds the text 'optimizers', so 'x' cannot be set in it"),
            ("parameters.batch_size.values.0=3", "'values' holds a list, so '0' cannot be set in it"),
            ("parameters.batch_size.min=3", "parameters.batch_size: values and min exclude each other; keep one"),
            ("parameters.train_size=10", "parameters.batch_size: "),
        ],
    )
    def test_a_fault_of_an_override_names_the_override(
        self, faults_of: Callable[..., list[str]], override: str, fault: str
    ) -> None:
        found = faults_of(WHOLE, override)
        if override == "parameters.train_size=10":  # a contradiction with the file is reported where it shows
            assert [each for each in found if "parameters.batch_size: found 32, more than train_size 10" in each]
        else:
            assert [each for each in found if each.startswith(f"--set {override}: {fault}")], found

    @pytest.mark.parametrize("second", ["early_terminate.eta=3", "early_terminate=null"])
    def test_an_override_may_not_undo_another(self, faults_of: Callable[..., list[str]], second: str) -> None:
        assert faults_of(WHOLE, "early_terminate.eta=2", second) == [
            f"--set {second}: undoes the earlier --set early_terminate.eta=...; keep one"
        ]

    def test_faults_of_the_file_and_of_overrides_come_together(self, faults_of: Callable[..., list[str]]) -> None:
        assert faults_of("sed: 1\nmethod: grid\nparameters: {lr: 0}", "confirm.tob=1", "x") == [
            "1:1: sed: unknown key; did you mean 'seed'?",
            "3:18: parameters.lr: found 0; allowed: a number above 0; choose a greater value",
            "--set x: write it as KEY=VALUE, for example parameters.epochs=3",
            "--set confirm.tob=1: unknown key; did you mean 'top'?",
        ]


class TestOtherNames:
    """Rows of tables under the names that other packages have for them."""

    TEXT = "method: grid\ncompare: initializer\nparameters: {initializer: {%s}}"

    def test_a_row_and_its_arm_are_called_as_the_file_calls_them(self, load: Callable[..., SweepSpec]) -> None:
        text = self.TEXT % "choices: {xavier_uniform: {}, RandomNormal: {init_std: {values: [0.1, 0.2]}}}"
        arms = build_arms(load(text))
        assert [arm.name for arm in arms] == ["xavier_uniform", "RandomNormal"]
        drawn = [[build_trial_config(parameters).initializer for parameters in build_grid(arm)] for arm in arms]
        assert [[choice.name for choice in choices] for choices in drawn] == [["glorot_uniform"], ["normal", "normal"]]
        assert [choice.settings["init_std"] for choice in drawn[1]] == [0.1, 0.2]

    @pytest.mark.parametrize("said", ["HeNormal", "{value: HeNormal}", "{values: [HeNormal, kaiming_uniform]}"])
    def test_every_way_to_name_a_row_takes_them(self, load: Callable[..., SweepSpec], said: str) -> None:
        spec = load(f"method: grid\nparameters: {{epochs: {{values: [1, 2]}}, initializer: {said}}}")
        assert load(dump_spec(spec)) == spec

    @pytest.mark.parametrize(
        ("said", "fault"),
        [
            (
                "values: [he_normal, HeNormal]",
                "initializer.values: HeNormal is the same initializer as he_normal; keep one",
            ),
            (
                "choices: {Zeros: {}, zeros: {}}",
                "initializer.choices: zeros is the same initializer as Zeros; keep one",
            ),
            (
                "values: [zeros, xavier_unifrom]",
                "initializer.values.1: found 'xavier_unifrom'; allowed: glorot_uniform, ",
            ),
            ("Zeros: {}, he_normal: {}", "initializer: found choices without the key `choices:` above them; add it"),
            (
                "choices: {Zeros: {init_std: 1}, RandomNormal: {}}",
                "initializer.choices.Zeros.init_std: Zeros has no such setting",
            ),
        ],
    )
    def test_faults_call_a_row_as_the_file_does(
        self, faults_of: Callable[..., list[str]], said: str, fault: str
    ) -> None:
        (found,) = faults_of(self.TEXT % said)
        assert f": parameters.{fault}" in found

    def test_a_setting_is_sent_to_the_choice_as_the_file_calls_it(self, faults_of: Callable[..., list[str]]) -> None:
        said = "choices: {Zeros: {}, RandomNormal: {}}}, init_std: {value: 1"
        (found,) = faults_of(self.TEXT % said)
        assert found.endswith(
            "init_std: Zeros has no such setting; write it under parameters.initializer.choices.RandomNormal"
        )


class TestFiles:
    def test_a_missing_file_says_what_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "quickstart.yaml").write_text("")
        with pytest.raises(SpecError, match=r"quickstrat\.yaml: no such file; did you mean '.*quickstart\.yaml'\?$"):
            load_spec(tmp_path / "quickstrat.yaml")
        with pytest.raises(SpecError, match=r"zzz: no such file; YAML files in '.*': quickstart\.yaml$"):
            load_spec(tmp_path / "zzz")
        with pytest.raises(SpecError, match=r"no such file; the directory '.*nowhere' does not exist$"):
            load_spec(tmp_path / "nowhere" / "a.yaml")

    def test_a_directory_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            SpecError, match=r"this is a directory; give a sweep file; the directory .* holds no YAML file"
        ):
            load_spec(tmp_path)

    def test_a_file_below_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("")
        with pytest.raises(SpecError, match=r"the file cannot be read: Not a directory"):
            load_spec(tmp_path / "a" / "b.yaml")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "1:1: the file is empty; a sweep file needs at least `parameters:`"),
            (b"# nothing\n", "1:1: the file is empty; a sweep file needs at least `parameters:`"),
            (b"- 1\n- 2\n", "1:1: a sweep file is a mapping of `key: value` lines; found a list"),
            (b"hello\n", "1:1: a sweep file is a mapping of `key: value` lines; found the text 'hello'"),
            (b"null\n", "1:1: a sweep file is a mapping of `key: value` lines; found null"),
            (b"name: a\nseed: \xff\n", "2:7: the byte 0xff is not UTF-8; save the file as UTF-8"),
            ("name: a\n".encode("utf-16"), "1:1: the file is UTF-16; save the file as UTF-8"),
            (b"name: a\nseed: \x01\n", r"2:7: the character '\x01' is not allowed in YAML; remove it"),
            (b"name: a\n\tseed: 1\n", "2:1: a tab cannot indent YAML; use spaces"),
            (b"parameters:\n\tlr: 1\n", "2:1: a tab cannot indent YAML; use spaces"),
            (b"parameters:\n  a:\n  \tlr: 1\n", "3:3: a tab cannot indent YAML; use spaces"),
            (b"name: a: b\n", "1:8: a ': ' is not allowed here; check the indentation of this line and the one above"),
            (b"seed: 1\n  name: x\n", "2:7: a ': ' is not allowed here; check the indentation of this line"),
            (b"name\nseed: 1\n", "2:5: a ': ' is not allowed here"),
            (b"a: [1, 2\nb: 3\n", "2:2: a quote or bracket, opened in line 1, is not closed"),
            (b"a: {b: 1\n", "2:1: a quote or bracket, opened in line 1, is not closed"),
            (b"a: 'b\n", "2:1: a quote or bracket, opened in line 1, is not closed"),
            (b"name: *x\n", "1:7: there is no anchor 'x' above this line"),
            (b"name: a\n---\nname: b\n", "2:1: a second YAML document begins here; a sweep file holds one"),
            (b"name: @x\n", "1:7: not valid YAML: found character '@' that cannot start any token"),
            (b"%YAML 1.1\n---\nname: yes\n", "2:1: the directive %YAML says another version than 1.2"),
            (b"name: a\nseed: 1\n%YAML 9.9\n---\n", "3:1: the directive %YAML says another version than 1.2"),
            (b"[" * 3000, "1:31: more than 30 lists and mappings within each other"),
            (b"#" * 1_000_001, " larger than 250 kB; this is not a sweep file"),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_what_is_no_yaml_mapping_is_a_fault_with_its_place(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        path = tmp_path / "sweep.yaml"
        path.write_bytes(content)
        with pytest.raises(SpecError) as caught:
            load_spec(path)
        assert str(caught.value).startswith(f"{path}:{message}"), str(caught.value)
        assert len(caught.value.faults) == 1


def read_faults() -> dict[str, str]:
    """Each sweep file of sweep_faults.txt with the beginning of its only fault."""
    _, *blocks = (Path(__file__).parent / "sweep_faults.txt").read_text().rstrip("\n").split("\n\n")
    pairs = [block.rsplit("\n=> ", 1) for block in blocks]
    return dict(pairs)


FAULTS = read_faults()


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: text.replace("\n", "; ")[-80:])
def test_one_fault_is_reported_alone_where_it_stands(faults_of: Callable[..., list[str]], text: str) -> None:
    found = faults_of(text)
    assert len(found) == 1, found
    assert found[0].startswith(FAULTS[text]), found[0]


def test_all_faults_of_a_file_are_reported_at_once(faults_of: Callable[..., list[str]]) -> None:
    text = """
        name: 3
        colour: red
        method: random
        metric: {name: val_accuracy, goal: minimize}
        compare: optimiser
        budget: {trials: 0, hour: 8}
        resources: {cpu: "2", gpu: 1.5}
        parameters:
          epochs: "27"
          modle: fastcnn
          crop_padding: [2, 4]
          batch_size: {values: [32, 64, 64, -1]}
          weight_decay: {distribution: log_uniform_values, min: 0, max: 1e-1}
          precision: {mim: 3, value: auto}
          optimizer:
            choices:
              sgd:      {lr: {distribution: log_uniform_values, min: 1e-3, max: -3}}
              momentum: {lr: {distribution: log_uniform_values, mim: 1e-4, max: 1}, momentum: {min: 0.5, max: 1.99}}
              adma:     {lr: 0.1}
              adam:     {lr: {distribution: log_uniform_valus, min: 1e-5, max: 1e-1}, alpha: 3}
    """
    assert [fault.split(": ")[0] + " " + fault.split(": ")[1] for fault in faults_of(text)] == [
        "1:7 name",
        "2:1 colour",
        "4:36 metric.goal",
        "5:10 compare",
        "6:18 budget.trials",
        "6:21 budget.hour",
        "7:18 resources.cpu",
        "7:28 resources.gpu",
        "9:11 parameters.epochs",
        "10:3 parameters.modle",
        "11:17 parameters.crop_padding",
        "12:33 parameters.batch_size.values.2",
        "12:37 parameters.batch_size.values.3",
        "13:57 parameters.weight_decay.min",
        "14:15 parameters.precision.mim",
        "17:73 parameters.optimizer.choices.sgd.lr.max",
        "18:57 parameters.optimizer.choices.momentum.lr.mim",
        "18:103 parameters.optimizer.choices.momentum.momentum.max",
        "19:7 parameters.optimizer.choices.adma",
        "20:37 parameters.optimizer.choices.adam.lr.distribution",
        "20:79 parameters.optimizer.choices.adam.alpha",
    ]


def test_no_fault_speaks_the_language_of_a_library(faults_of: Callable[..., list[str]]) -> None:
    for text in FAULTS:
        for fault in faults_of(text):
            assert not any(word in fault for word in ("Input should", "validation error", "Traceback", "pydantic"))


class TestDump:
    def test_a_dumped_spec_loads_as_the_same_spec(self, load: Callable[..., SweepSpec]) -> None:
        spec = load(WHOLE)
        assert load(dump_spec(spec)) == spec
        assert list(load(dump_spec(spec)).parameters) == list(spec.parameters)

    def test_a_dump_states_every_default(self, load: Callable[..., SweepSpec]) -> None:
        text = dump_spec(load("method: grid\nparameters: {lr: 0.1}"))
        assert "max_consecutive_failures: 3\n" in text
        assert "goal: maximize\n" in text
        assert "  lr: 0.1\n" in text


class TestModels:
    def test_models_are_frozen(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            Asha().eta = 4  # type: ignore[misc]

    def test_models_built_in_python_are_checked_too(self) -> None:
        with pytest.raises(ValueError, match="3 is above max"):
            IntUniform(min=3, max=1)
        with pytest.raises(ValueError, match="extra"):
            SweepSpec(parameters={"lr": Constant(value=1)}, colour="red")  # type: ignore[call-arg]

    def test_multiples_are_decimal(self) -> None:
        parameter = QUniform(min=0.1, max=0.7, q=0.1)
        first, last = parameter.first_and_last
        assert [parameter.multiple(factor) for factor in range(first, last + 1)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]

    def test_a_spec_survives_json(self, load: Callable[..., SweepSpec]) -> None:
        spec = load(WHOLE)
        assert SweepSpec.model_validate_json(spec.model_dump_json()) == spec

    def test_the_total_of_trials_has_two_names(self, load: Callable[..., SweepSpec]) -> None:
        parameters = "parameters: {lr: {values: [0.1, 0.2]}}"
        assert load(f"run_cap: 4\n{parameters}").num_trials == 4
        assert load(f"budget: {{trials: 4}}\n{parameters}").num_trials == 4
        assert load(f"budget: {{hours: 4}}\n{parameters}").num_trials is None


EVERYTHING = """
method: bayes
metric: {name: val_loss, impute: worst, target: 0.4}
compare: [optimizer, initializer]
constraints: ["warmup_epochs < epochs", "optimizer != 'sgd' or lr > 0.01"]
prior: [a-20261101-101010-abcd]
points: [{optimizer: adam, lr: 0.01}, {batch_size: 64}]
budget:
  trials: 12
  epochs_per_arm: 40
  trial_hours: 0.5
  plateau: 4
  max_failures_fraction: 0.5
parameters:
  dataset: synthetic
  training:
    parameters:
      batch_size: {distribution: q_log_uniform_values, min: 32, max: 512, q: 32}
      regularisation:
        parameters:
          label_smoothing: {distribution: beta, a: 2, b: 20}
  epochs: {distribution: q_normal, mu: 20, sigma: 2}
  warmup_epochs: {distribution: log_normal, mu: 0, sigma: 0.3}
  initializer: {values: [he_normal, glorot_normal]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform, min: -7, max: 0}}
      adam:
        lr: {distribution: inv_log_uniform_values, min: 1e-4, max: 1e-1}
        one_minus_beta1: {distribution: q_uniform, min: 0.05, max: 0.3, q: 0.05}
      rmsprop: {lr: {distribution: log_normal, mu: -6.9, sigma: 0.5}}
"""


def test_everything_that_a_file_can_say_is_read_and_written_as_the_same(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(EVERYTHING)
    spec = load_spec(file)
    assert list(spec.parameters) == [
        "dataset",
        "batch_size",
        "label_smoothing",
        "epochs",
        "warmup_epochs",
        "initializer",
        "optimizer",
    ]
    assert [arm.name for arm in build_arms(spec)] == [
        f"{optimizer}, {initializer}"
        for optimizer in ("sgd", "adam", "rmsprop")
        for initializer in ("he_normal", "glorot_normal")
    ]
    assert spec.target == 0.4
    again = tmp_path / "again.yaml"
    again.write_text(dump_spec(spec))
    assert load_spec(again).model_copy(update={"name": spec.name}) == spec


# In the form in which people write them for W&B, with our names of parameters.
WANDB = """
program: train.py
method: bayes
metric:
  name: val_loss
  goal: minimize
run_cap: 20
early_terminate:
  type: hyperband
  min_iter: 3
parameters:
  optimizer:
    values: ["adam", "sgd"]
  lr:
    distribution: log_uniform_values
    min: 0.0001
    max: 0.1
  batch_size:
    distribution: q_log_uniform_values
    q: 8
    min: 32
    max: 256
  epochs:
    value: 10
  hidden_dim:
    values: [128, 256]
"""


def test_a_sweep_file_of_wandb_runs_but_for_what_is_reported_by_name_and_line(tmp_path: Path) -> None:
    file = tmp_path / "wandb.yaml"
    file.write_text(WANDB)
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    assert [(fault.line, fault.key_path) for fault in caught.value.faults] == [
        (2, "program"),
        (25, "parameters.hidden_dim"),
    ]
    lines = [
        line for line in WANDB.splitlines() if "program" not in line and "hidden_dim" not in line and "128" not in line
    ]
    file.write_text("\n".join(lines))
    spec = load_spec(file)
    assert isinstance(spec.parameters["batch_size"], QLogUniformValues)
    assert (spec.num_trials, spec.early_terminate) == (20, Hyperband(type="hyperband", min_iter=3))


# What files that people have published for W&B are made of, each cut to what one can learn from it.
PUBLISHED = {
    "names with dots, a bracket too few": (
        """program: src/train.py
method: bayes
run_cap: 9
metric: {name: val/acc, goal: maximize}
parameters:
  optimizer: {values: [adam, adamw]}
  optimizer.lr: {distribution: uniform, min: 0.0001, max: 0.1}
  data.batch_size: {values: [32, 64, 128]}
early_terminate: {type: hyperband, s: 2, eta: 3, max_iter: 2}
command:
  - ${interpreter}
  - ${program}
""",
        [
            (1, "program"),
            (4, "metric.name"),
            (7, "parameters.optimizer.lr"),
            (8, "parameters.data.batch_size"),
            (9, "early_terminate"),
            (10, "command"),
        ],
    ),
    "torch's names of classes": (
        """entity: somebody
method: bayes
run_cap: 9
early_terminate: {type: hyperband, eta: 2, max_iter: 10, s: 3}
metric: {name: loss, goal: minimize}
parameters:
  learning_rate: {distribution: uniform, min: 0.0001, max: 0.1}
  optimizer: {distribution: categorical, values: [Adam, SGD]}
  hidden_channels_0: {distribution: int_uniform, min: 10, max: 20}
""",
        [
            (1, "entity"),
            (5, "metric.name"),
            (7, "parameters.learning_rate"),
            (8, "parameters.optimizer.values.0"),
            (8, "parameters.optimizer.values.1"),
            (9, "parameters.hidden_channels_0"),
        ],
    ),
    "without an end": (
        """method: random
metric: {goal: minimize, name: val_loss}
parameters:
  batch_size: {distribution: q_log_uniform_values, max: 256, min: 32, q: 8}
  dropout: {values: [0.3, 0.4, 0.5]}
  epochs: {value: 1}
  fc_layer_size: {values: [128, 256, 512]}
""",
        [(1, "budget"), (7, "parameters.fc_layer_size")],
    ),
    "nothing but ours": (
        """method: grid
metric: {goal: minimize, name: val_loss}
parameters:
  dropout: {values: [0.1, 0.2, 0.4, 0.5, 0.7]}
  lr: {values: [0.001, 0.005, 0.0005]}
  epochs: {value: 27}
early_terminate: {type: hyperband, s: 2, eta: 3, max_iter: 27}
""",
        [],
    ),
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_what_published_sweep_files_have_that_is_not_ours_is_reported_by_name_and_line(
    tmp_path: Path, kind: str
) -> None:
    text, expected = PUBLISHED[kind]
    file = tmp_path / "wandb.yaml"
    file.write_text(text)
    found = []
    try:
        load_spec(file)
    except SpecError as error:
        found = [(fault.line, fault.key_path) for fault in error.faults]
    assert found == expected


def test_a_class_of_torch_is_taken_for_the_row_of_that_name(tmp_path: Path) -> None:
    file = tmp_path / "wandb.yaml"
    file.write_text("method: grid\nparameters: {optimizer: SGD}")
    with pytest.raises(SpecError, match="did you mean 'sgd'"):
        load_spec(file)


def test_of_several_metrics_the_first_is_the_one_that_stops_and_retrains(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("method: grid\nmetrics: [{name: val_loss}, {name: train_seconds}]\nparameters: {lr: 0.1}")
    spec = load_spec(file)
    assert (spec.metric.name, spec.metric.goal) == ("val_loss", "minimize")
    assert [metric.direction for metric in spec.metrics] == ["minimize", "minimize"]
    file.write_text(dump_spec(spec))
    assert load_spec(file) == spec
