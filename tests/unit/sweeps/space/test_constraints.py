import pytest

from sweeps.space.constraints import ConstraintError, fulfils, parse_constraint
from trainer.config import Value


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("warmup_epochs < epochs", {"warmup_epochs": 3, "epochs": 4}, True),
        ("warmup_epochs < epochs", {"warmup_epochs": 4, "epochs": 4}, False),
        ("0.1 < lr <= 0.3 < epochs", {"lr": 0.3}, True),
        ("0.1 < lr <= 0.3", {"lr": 0.1}, False),
        ("lr * batch_size <= 12.8", {"lr": 0.1, "batch_size": 128}, True),
        ("lr / batch_size + 1 - 1 > 0.001", {"lr": 0.1, "batch_size": 128}, False),
        ("batch_size % 32 == 0 and batch_size // 32 == 3", {"batch_size": 96}, True),
        ("2 ** epochs > 100", {"epochs": 7}, True),
        ("-lr < -0.05", {"lr": 0.1}, True),
        ("not lr > 0.2", {"lr": 0.1}, True),
        ("optimizer != 'adam' or lr < 0.01", {"optimizer": "adam", "lr": 0.1}, False),
        ("optimizer in ['sgd', 'momentum']", {"optimizer": "sgd"}, True),
        ("optimizer not in ('sgd', 'momentum')", {"optimizer": "sgd"}, False),
        ("flip == false", {"flip": False}, True),
        ("train_size == null", {"train_size": None}, True),
        ("max(lr, 0.2) == 0.2 and abs(lr - 0.1) < 1e-9 and log10(lr) == -1 and min(lr, 1) < 1", {"lr": 0.1}, True),
    ],
)
def test_says_what_python_would(text: str, parameters: dict[str, Value], expected: bool) -> None:
    assert parse_constraint(text).holds(parameters) is expected


def test_defaults_count_for_what_is_left_out() -> None:
    constraint = parse_constraint("warmup_epochs < epochs")
    assert constraint.names == {"warmup_epochs", "epochs"}
    assert constraint.holds({"warmup_epochs": 9})  # of the 10 that are the default
    assert not constraint.holds({"warmup_epochs": 10})
    assert parse_constraint("beta1 > 0.8").holds({"one_minus_beta1": 0.1})
    assert not parse_constraint("beta1 > 0.8").holds({"one_minus_beta1": 0.3})


def test_what_a_configuration_does_not_have_cannot_be_broken() -> None:
    assert parse_constraint("beta1 < 0").holds({"optimizer": "sgd"})


@pytest.mark.parametrize("text", ["lr < 'x'", "1 / epochs > 0", "optimizer * 2 == 'adamadam'", "10.0 ** epochs > 1"])
def test_what_cannot_be_computed_is_said_and_not_fulfilled(text: str) -> None:
    parameters: dict[str, Value] = {"lr": 0.1, "epochs": 0 if "/" in text else 10**6, "optimizer": "adam"}
    with pytest.raises(ConstraintError, match="cannot be computed for"):
        parse_constraint(text).holds(parameters)
    assert not fulfils(parameters, (parse_constraint(text),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lr",
        "lr =< 3",
        "lr = 3",
        "(lr < 3",
        "lr < 3; epochs",
        "lr < 3 and epochs",
        "1 < 2",
        "__import__('os').system('true') == 0",
        "lr.__class__ == 3",
        "[x for x in [1]] == lr",
        "(lambda: 1)() == lr",
        "lr[0] > 1",
        "f'{lr}' == 'x'",
        "lr < 3 if epochs > 2 else lr > 4",
        "print(lr) == 3",
        "max(lr, key=abs) > 1",
        "lr @ lr > 1",
        "lr is null",
        "{1: lr} == 3",
        "lr := 3",
        "'x' * 9",
        "~epochs < 3",
        "lr < 3j",
        "lr < b'x'",
        "lr < ...",
        "lr < " + "(" * 300 + "1" + ")" * 300,
        "lr < " + "1 + " * 200 + "1",
    ],
)
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises(ConstraintError):
        parse_constraint(text)
