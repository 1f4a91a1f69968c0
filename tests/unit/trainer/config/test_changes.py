import json
from typing import Any

import pytest

from trainer.config import ConfigError, build_trial_config
from trainer.config.changes import apply_changes, format_changes, parse_changes

BASE: dict[str, Any] = {"optimizer": "momentum", "lr": 0.1, "momentum": 0.9, "epochs": 4, "batch_size": 64}


def test_a_text_is_read_as_it_was_written() -> None:
    changes = {3: {"lr": 0.01}, 2: {"lr": 0.05, "batch_size": 32}}
    assert parse_changes(format_changes(changes)) == dict(sorted(changes.items()))


def test_each_epoch_has_the_settings_of_the_changes_before_it() -> None:
    config = build_trial_config({**BASE, "changes": '{"1": {"lr": 0.05}, "3": {"lr": 0.02, "batch_size": 32}}'})
    phases = [config.after(num_epochs) for num_epochs in range(4)]
    assert [phase.optimizer.settings["lr"] for phase in phases] == [0.1, 0.05, 0.05, 0.02]
    assert [phase.batch_size for phase in phases] == [64, 64, 64, 32]
    assert {phase.changes for phase in phases} == {None}
    assert build_trial_config(config.to_parameters()) == config


def test_parameters_with_their_changes_up_to_an_epoch() -> None:
    parameters = {**BASE, "changes": '{"1": {"lr": 0.05}, "3": {"lr": 0.02}}'}
    assert [apply_changes(parameters, epoch)["lr"] for epoch in (0, 1, 2, 3)] == [0.1, 0.05, 0.05, 0.02]
    assert apply_changes(BASE, 3) == BASE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "is not a list of changes; write after which epoch what is set, such as"),
        ("{}", "is not a list of changes"),
        ("[" * 9999, "is not a list of changes"),
        ('{"0": {"lr": 0.1}}', "is not a list of changes"),
        ('{"one": {"lr": 0.1}}', "is not a list of changes"),
        ('{"1": {}}', "is not a list of changes"),
        ('{"1": {"lr": [0.1]}}', "is not a list of changes"),
        ('{"1": {"lr": 0.2}, "01": {"lr": 0.1}}', "names epoch 1 twice"),
        ('{"4": {"lr": 0.1}}', "after epoch 4 of 4, which never acts; allowed: up to 3"),
        ('{"1": {"epochs": 9}}', "after epoch 1: epochs cannot change while a training runs"),
        ('{"1": {"width": 2}}', "after epoch 1: width cannot change while a training runs"),
        ('{"1": {"changes": "x"}}', "after epoch 1: changes cannot change"),
        ('{"1": {"lrr": 0.1}}', "after epoch 1: lrr: unknown setting; did you mean 'lr'?"),
        ('{"1": {"lr": -1}}', "after epoch 1: lr: found -1; allowed: a number above 0"),
        ('{"1": {"momentum": 0}}', "after epoch 1: momentum cannot be switched on or off"),
        ('{"2": {"ema_decay": 0.9}}', "after epoch 2: ema_decay cannot be switched on or off"),
    ],
)
def test_what_cannot_be_is_said_with_its_epoch(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_trial_config({**BASE, "changes": text})
    (fault,) = caught.value.faults
    assert fault.parameter == "changes"
    assert message in fault.message


def test_a_setting_may_be_spelt_the_other_way() -> None:
    config = build_trial_config({**BASE, "changes": '{"1": {"one_minus_momentum": 0.05}}'})
    assert config.after(1) == build_trial_config({**BASE, "momentum": 1.0 - 0.05})
    with pytest.raises(ConfigError, match="after epoch 1: one_minus_momentum: found 'x'; allowed"):
        build_trial_config({**BASE, "changes": '{"1": {"one_minus_momentum": "x"}}'})


def test_a_legal_text_may_also_be_written_with_spaces() -> None:
    text = json.dumps({"1": {"lr": 0.05}}, indent=1)
    assert build_trial_config({**BASE, "changes": text}).after(1).optimizer.settings["lr"] == 0.05
