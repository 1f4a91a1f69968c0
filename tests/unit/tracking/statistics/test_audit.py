from __future__ import annotations

import math

import numpy as np
import pytest

from tracking.names import TrialState
from tracking.statistics.audit import (
    INCLUSIONS,
    ArmEffort,
    Inequality,
    TrialCost,
    audit_tuning,
    build_ledger,
    check_inclusions,
)
from tracking.statistics.comparison import Comparison, compare_arms


def test_equal_tuning_has_no_findings() -> None:
    assert audit_tuning({"a": ArmEffort(12, 100, 50.0, 1), "b": ArmEffort(12, 92, 900.0, 4)}) == ()
    assert audit_tuning({"a": ArmEffort(12, 100, 50.0, 1)}) == ()
    assert audit_tuning({}) == ()


def test_one_trial_less_is_unequal() -> None:
    found = audit_tuning(
        {"a": ArmEffort(12, 100, 50.0, 1), "b": ArmEffort(11, 95, 50.0, 1), "c": ArmEffort(12, 99, 9.0, 1)}
    )
    assert found == (Inequality("trials", "b", 11, "a", 12),)


def test_a_tenth_of_the_epochs_less_is_unequal() -> None:
    found = audit_tuning({"a": ArmEffort(12, 100, 50.0, 1), "b": ArmEffort(12, 89, 50.0, 1)})
    assert found == (Inequality("epochs", "b", 89, "a", 100),)


def compare(means: dict[str, float]) -> Comparison:
    luck = np.random.default_rng(1)
    outcomes = {arm: dict(enumerate(luck.normal(mean, 0.003, 8).tolist())) for arm, mean in means.items()}
    comparison = compare_arms(outcomes, worst=0.0, alpha=0.04)
    assert comparison is not None
    return comparison


def test_momentum_may_not_lose_to_sgd() -> None:
    comparison = compare({"sgd": 0.8, "momentum": 0.7})
    (fault,) = check_inclusions(comparison, {"sgd": ["lr"], "momentum": ["lr", "one_minus_momentum"]})
    assert (fault.inclusion.special, fault.inclusion.general) == ("sgd", "momentum")
    assert (fault.pair.arm, fault.pair.difference < 0) == ("momentum", True)


def test_an_inclusion_that_was_not_searched_is_no_fault() -> None:
    comparison = compare({"momentum": 0.8, "adam": 0.7})
    assert check_inclusions(comparison, {"adam": ["lr", "beta1"]}) == ()  # epsilon was left alone
    assert check_inclusions(comparison, {}) == ()
    assert len(check_inclusions(comparison, {"adam": ["lr", "one_minus_beta1", "epsilon"]})) == 1


def test_being_level_or_better_is_no_fault() -> None:
    searched = {"momentum": ["lr", "momentum"]}
    assert check_inclusions(compare({"sgd": 0.8, "momentum": 0.8}), searched) == ()
    assert check_inclusions(compare({"sgd": 0.7, "momentum": 0.8}), searched) == ()


def test_every_inclusion_has_a_source_and_two_optimizers() -> None:
    for inclusion in INCLUSIONS:
        assert inclusion.source
        assert inclusion.special != inclusion.general
        assert inclusion.needs


def test_what_a_sweep_spent_by_hand() -> None:
    trials = [
        TrialCost(TrialState.COMPLETED, 9, 90.0, 9),
        TrialCost(TrialState.EARLY_STOPPED, 3, 60.0, 9),
        TrialCost(TrialState.EARLY_STOPPED, 0, 1.0, 9),
        TrialCost(TrialState.DIVERGED, 2, 20.0, 9),
        TrialCost(TrialState.FAILED, 1, 5.0, 9),
        TrialCost(TrialState.STOPPED, 4, 40.0, 9),
        TrialCost(None, 1, 10.0, 9),
    ]
    ledger = build_ledger(trials)
    assert (ledger.num_epochs, ledger.seconds) == (20, 226.0)
    assert (ledger.saved_epochs, ledger.saved_seconds) == (6 + 9, 6 * 20.0)
    assert (ledger.lost_epochs, ledger.lost_seconds) == (3, 25.0)
    assert ledger.saved_share == pytest.approx(15 / 35)
    assert ledger.lost_share == pytest.approx(3 / 20)


def test_nothing_spent_nothing_saved() -> None:
    ledger = build_ledger([])
    assert (ledger.saved_share, ledger.lost_share, ledger.seconds) == (0.0, 0.0, 0.0)
    assert not math.isnan(ledger.saved_seconds)
