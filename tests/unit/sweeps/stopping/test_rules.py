"""Rules of a sweep's arms, and what a Hyperband section says."""

import math

import pytest
from pydantic import ValidationError

from sweeps.stopping.asha import Asha
from sweeps.stopping.rule import CONTINUE
from sweeps.stopping.rules import RULES, ArmRules


def test_arms_do_not_compete() -> None:
    rules = ArmRules(("fast", "slow"), Asha(min_iter=1, eta=3), 9)
    for trial in range(3):
        rules["fast"].judge(trial, 1, 0.9)
    assert rules["slow"].judge(0, 1, 0.2) is CONTINUE


def test_without_early_termination_nothing_is_stopped() -> None:
    rules = ArmRules(("all",), None, 9)
    assert all(rules["all"].judge(trial, epoch, math.nan) is CONTINUE for trial in range(5) for epoch in range(1, 10))
    assert rules["all"].next_promoted() is None


@pytest.mark.parametrize(
    ("section", "epochs"),
    [
        ({"min_iter": 3}, (3, 9)),
        ({"min_iter": 2, "eta": 2}, (2, 4, 8, 16)),
        ({"max_iter": 27, "s": 2}, (3, 9)),
        ({"max_iter": 27, "s": 2, "eta": 2}, (6, 13)),
        ({"max_iter": 27, "s": 9}, (1, 3, 9)),
    ],
)
def test_hyperband_has_the_rungs_that_wandb_gives_it(section: dict[str, int], epochs: tuple[int, ...]) -> None:
    made = RULES["hyperband"].section.model_validate({"type": "hyperband", **section})
    assert made.rungs(27) == epochs


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "missing, or max_iter with s"),
        ({"min_iter": 1, "max_iter": 9}, "excludes max_iter"),
        ({"max_iter": 9}, "max_iter needs it"),
        ({"min_iter": 1, "s": 2}, "belongs to max_iter"),
    ],
)
def test_hyperband_refuses_what_says_two_things(section: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RULES["hyperband"].section.model_validate({"type": "hyperband", **section})
