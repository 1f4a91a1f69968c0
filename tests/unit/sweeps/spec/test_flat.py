"""A sweep as a flat list of settings."""

from __future__ import annotations

from recorded import RESOLVED

from sweeps.spec import load_spec_text
from sweeps.spec.flat import list_settings, list_task


def test_every_setting_has_its_path_and_its_value() -> None:
    found = list_settings(load_spec_text(RESOLVED, "a test"))
    assert found["early_terminate.type"] == "asha"
    assert found["budget.trials_per_arm"] == "6"
    assert found["parameters.batch_size"] == "32 | 64 | 128"
    assert found["parameters.optimizer.sgd.lr"] == "log_uniform_values: min 0.001, max 3.0"
    assert not {"name", "description"} & found.keys()


def test_files_that_differ_in_one_value_differ_in_one_setting() -> None:
    one = list_settings(load_spec_text(RESOLVED, "a test"))
    other = list_settings(load_spec_text(RESOLVED, "a test", ["parameters.optimizer.choices.adam.lr.max=1"]))
    assert {name for name in one if one[name] != other[name]} == {"parameters.optimizer.adam.lr"}


def test_the_task_has_defaults_and_every_value_that_trials_take() -> None:
    task = list_task([{"epochs": 9, "width": 0.5, "dropout": 0.1}, {"epochs": 27}, {"epochs": 9, "model": "mlp"}])
    assert task["epochs"] == (9, 27)
    assert task["model"] == ("fastcnn", "mlp")
    assert task["width"] == (0.5, 1.0)
    assert task["train_size"] == (None,)
    assert "dropout" not in task
    assert "lr" not in task


def test_a_default_that_one_file_writes_out_is_no_other_task() -> None:
    assert list_task([{"model": "fastcnn", "train_size": None}]) == list_task([{}])


def test_a_trial_of_code_that_is_missing_is_left_out() -> None:
    assert list_task([{"model": "absent_module:Net"}, {"epochs": 3}])["model"] == ("fastcnn",)
