import pickle
import subprocess
import sys
from dataclasses import fields

import pytest

from trainer.config import (
    DEFAULT_ROWS,
    SETTINGS,
    TABLES,
    ConfigError,
    TrialConfig,
    build_trial_config,
    find_row,
    find_setting,
    known_names,
    rows_with,
)

ROWS = [(table, row) for table, rows in TABLES.items() for row in rows.values()]


def find_faults(parameters):
    with pytest.raises(ConfigError) as caught:
        build_trial_config(parameters)
    return {fault.parameter: fault.message for fault in caught.value.faults}


def test_nothing_given_gives_every_default():
    config = build_trial_config({})
    assert (config.epochs, config.batch_size, config.dataset) == (10, 128, "cifar10")
    assert {table: getattr(config, table).name for table in TABLES} == DEFAULT_ROWS
    assert config.optimizer.settings == TABLES["optimizer"]["adam"].defaults


def test_has_one_field_per_setting_and_table():
    assert [field.name for field in fields(TrialConfig)] == [*SETTINGS, *TABLES]


def test_is_hashable_and_pickles():
    config = build_trial_config({"optimizer": "nesterov", "lr": 0.2})
    assert pickle.loads(pickle.dumps(config)) == config
    assert len({config, build_trial_config({"lr": 0.2, "optimizer": "nesterov"})}) == 1


def test_parameters_are_flat_complete_and_lead_back():
    config = build_trial_config({"optimizer": "rmsprop", "one_minus_alpha": 0.1, "schedule": "cosine"})
    parameters = config.to_parameters()
    assert parameters["optimizer"] == "rmsprop"
    assert parameters["alpha"] == 0.9
    assert parameters["final_lr_fraction"] == 0.0
    assert "one_minus_alpha" not in parameters
    assert build_trial_config(parameters) == config


def test_whole_and_decimal_spelling_of_a_float_are_one_configuration():
    assert build_trial_config({"lr": 1}) == build_trial_config({"lr": 1.0})


def test_a_word_may_stand_for_a_number():
    config = build_trial_config({"batch_size": "full", "normalization": "group"})
    assert config.batch_size == "full"
    assert build_trial_config(config.to_parameters()) == config
    assert find_faults({"batch_size": "fill"}) == {
        "batch_size": "found 'fill'; allowed: a whole number from 1 or full; write a number"
    }


def test_what_is_off_may_be_switched_on_and_said_to_be_off():
    switches = {"gradient_clip_norm": 2, "ema_decay": 0.5, "cutout_size": 8, "mixup_alpha": 1, "dropout": 0.25}
    parameters = build_trial_config(switches).to_parameters()
    assert {name: parameters[name] for name in switches} == switches
    assert isinstance(parameters["gradient_clip_norm"], float)
    off = {"gradient_clip_norm": None, "ema_decay": None, "cutout_size": 0, "mixup_alpha": 0, "dropout": 0}
    assert build_trial_config(off) == build_trial_config({})


def test_all_faults_come_at_once_in_the_order_given():
    with pytest.raises(ConfigError) as caught:
        build_trial_config({"optimizer": "sgd", "momentum": 0.9, "lr": "1e-3", "epoch": 3, "batch_size": 3.0})
    assert [fault.parameter for fault in caught.value.faults] == ["momentum", "lr", "epoch", "batch_size"]


def test_unknown_setting_gets_a_hint_from_what_is_usable():
    faults = find_faults({"epoch": 3, "optimizer": "sgd", "zebra": 1})
    assert faults["epoch"] == "unknown setting; did you mean 'epochs'?"
    assert faults["zebra"].startswith("unknown setting; remove it")


def test_setting_of_another_row_names_the_rows_that_have_it():
    assert find_faults({"optimizer": "sgd", "momentum": 0.9})["momentum"] == (
        "'sgd' does not have this setting; optimizers that have it: momentum, nesterov, rmsprop, muon, shampoo, "
        "schedule_free_sgd, sam; remove it or choose one of these"
    )


def test_misspelt_row_is_the_only_fault_and_its_settings_are_not():
    faults = find_faults({"optimizer": "addam", "lr": 0.1, "beta1": 0.8})
    assert list(faults) == ["optimizer"]
    assert "did you mean 'adam'?" in faults["optimizer"]


def test_row_of_the_wrong_type_is_a_fault():
    assert list(find_faults({"optimizer": 3})) == ["optimizer"]
    assert list(find_faults({"optimizer": None})) == ["optimizer"]


def test_a_row_goes_by_its_other_names_too():
    config = build_trial_config({"initializer": "RandomNormal", "init_std": 0.2})
    assert config == build_trial_config({"initializer": "normal", "init_std": 0.2})
    assert config.to_parameters()["initializer"] == "normal"
    assert find_row("initializer", "RandomNormal") is find_row("initializer", "normal") is config_row("normal")
    assert find_row("initializer", "no such row") is None
    assert find_setting("init_std", {"initializer": "RandomNormal"}) is config_row("normal").settings[0]
    assert "did you mean 'xavier_uniform'?" in find_faults({"initializer": "xavier_unifrm"})["initializer"]
    assert list(find_faults({"initializer": "xavier_uniform", "init_std": 1})) == ["init_std"]


def config_row(name):
    return TABLES["initializer"][name]


@pytest.mark.parametrize("table", TABLES)
def test_no_two_rows_go_by_one_name(table):
    names = [name for row in TABLES[table].values() for name in (row.name, *row.aliases)]
    assert len(set(names)) == len(names)
    assert all(find_row(table, name) for name in names)


def test_missing_required_setting_is_a_fault():
    assert find_faults({"schedule": "step"})["step_epochs"].startswith("missing, but step needs it")
    assert list(find_faults({"schedule": "step", "step_epochs": 0})) == ["step_epochs"]


def test_find_setting_follows_what_is_chosen():
    assert find_setting("epochs", {}) is SETTINGS["epochs"]
    assert find_setting("beta1", {}) is not None, "the default optimizer has it"
    assert find_setting("beta1", {"optimizer": "sgd"}) is None
    assert find_setting("lr", {"optimizer": "sgd"}).default == 1e-3
    assert find_setting("lr", {"optimizer": "no such row"}) is None
    assert find_setting("optimizer", {}).choices == tuple(TABLES["optimizer"])
    assert find_setting("zebra", {}) is None


def test_rows_with_names_every_owner():
    owners = ("lbfgs",)
    assert rows_with("history_size") == tuple(("optimizer", name) for name in owners)
    owners = ("fastcnn", "resnet20", "plain", "mlp")
    assert rows_with("depth") == tuple(("model", name) for name in owners)
    assert rows_with("epochs") == ()


def test_known_names_are_settings_tables_and_row_settings():
    assert {"epochs", "optimizer", "one_minus_beta1", "plateau_factor", "width"} <= known_names()


@pytest.mark.parametrize(("table", "row"), ROWS, ids=lambda each: each if isinstance(each, str) else each.name)
def test_rows_are_in_order(table, row):
    assert TABLES[table][row.name] is row
    names = [setting.name for setting in row.settings]
    assert len(set(names)) == len(names)
    for setting in row.settings:
        if setting.complement_of:
            assert setting.complement_of in names
            assert setting.default is None
        elif not setting.required:
            assert setting.check(setting.default) is None


def test_a_name_means_one_thing():
    owners = {}
    for table, row in ROWS:
        for setting in row.settings:
            assert setting.name not in SETTINGS
            assert setting.name not in TABLES
            owners.setdefault(setting.name, set()).add((table, setting.kind))
    assert all(len(each) == 1 for each in owners.values()), owners


def test_loads_without_heavy_packages():
    heavy = "torch ray mlflow optuna pandas plotly scipy numpy"
    code = f"import sys, trainer.config.config; print(*[name for name in {heavy.split()} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
