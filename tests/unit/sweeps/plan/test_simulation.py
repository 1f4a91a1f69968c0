"""Rules under a simulated clock: what they cost and whether the best trial survives, for three orders of arrival."""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from sweeps.plan.simulation import KnownTrial, Simulated, simulate
from sweeps.stopping.asha import Rungs
from sweeps.stopping.promotion import PromotionRungs
from sweeps.stopping.rule import Decision, NoRule, Rule
from sweeps.stopping.rules import RULES, RuleContext

EPOCHS = 27


def grow(level: float) -> KnownTrial:
    """A curve that rises to its level, and never crosses that of another level."""
    return KnownTrial([level * (1 - math.exp(-epoch / 5)) for epoch in range(1, EPOCHS + 1)])


def arrive(order: str, count: int = 81) -> list[KnownTrial]:
    levels = [0.1 + 0.8 * index / count for index in range(count)]
    if order == "falling":
        levels.reverse()
    elif order == "random":
        random.Random(0).shuffle(levels)
    return [grow(level) for level in levels]


def search(trials: Sequence[KnownTrial], rule: Rule, num_slots: int = 1) -> Simulated:
    return simulate({"all": trials}, {"all": rule}, num_slots)


def rank_of_winner(trials: Sequence[KnownTrial], ran: Sequence[int]) -> int:
    """Rank, among all trials, of the best of those that were trained in full."""
    finals = [trial.scores[-1] for trial in trials]
    best = max(final for final, epochs in zip(finals, ran, strict=True) if epochs == EPOCHS)
    return sum(final > best for final in finals) + 1


# Epochs in all, of 81 * 27 = 2,187; curves do not cross, so that the best trial is the best at every rung.
@pytest.mark.parametrize(
    ("rule", "order", "num_epochs"),
    [
        ("asha", "rising", 2187),  # each is the best so far: nothing is saved
        ("asha", "falling", 107),  # the first alone goes on
        ("asha", "random", 341),
        ("asha_promotion", "rising", 2051),  # each is among the best third when it comes, and is not called back
        ("asha_promotion", "falling", 243),  # halving to the letter: 81 + 27 * 2 + 9 * 6 + 3 * 18
        ("asha_promotion", "random", 305),
        ("hyperband", "rising", 2187),
        ("median", "rising", 2187),
        ("median", "falling", 159),
        ("median", "random", 1163),
    ],
)
def test_epochs_spent(rule: str, order: str, num_epochs: int) -> None:
    row = RULES[rule]
    section = row.section.model_validate({"type": rule, **({"min_iter": 1} if rule == "hyperband" else {})})
    trials = arrive(order)
    ran = search(trials, row.build(section, RuleContext(EPOCHS))).arms["all"].num_epochs
    assert rank_of_winner(trials, ran) == 1
    assert sum(ran) == num_epochs


def test_promotion_takes_up_a_good_trial_that_came_at_a_bad_moment() -> None:
    # The second best comes second: stopped by one rule, since only one of two goes on, and promoted by the other.
    levels = [0.9, 0.8, *(0.1 + index / 100 for index in range(16))]
    spent = {}
    for name, rule in (("stopping", Rungs((1, 3), 3)), ("promotion", PromotionRungs((1, 3), 3))):
        spent[name] = search([grow(level) for level in levels], rule).arms["all"].num_epochs[:2]
    assert spent == {"stopping": (27, 1), "promotion": (27, 27)}


def test_an_arm_of_few_trials_has_one_that_is_trained_in_full() -> None:
    trials = [grow(level) for level in (0.3, 0.2, 0.4, 0.1, 0.35)]
    assert search(trials, PromotionRungs((1, 3, 9), 3)).arms["all"].num_epochs == (1, 1, 27, 1, 1)


def test_a_slow_starter_is_lost_at_the_first_rung_by_every_rule_of_rungs() -> None:
    slow = KnownTrial([0.01] * 9 + [0.99] * 18)
    trials = [*arrive("random"), slow]
    for rule in (Rungs((1, 3, 9), 3), PromotionRungs((1, 3, 9), 3)):
        assert search(trials, rule).arms["all"].num_epochs[-1] == 1


@pytest.mark.parametrize("num_slots", [1, 2, 3, 8])
def test_wall_time_is_training_time_shared_by_the_slots(num_slots: int) -> None:
    trials = [KnownTrial([0.5] * 4, epoch_seconds=10.0)] * 24
    done = search(trials, NoRule(), num_slots)
    assert done.arms["all"].seconds == 24 * 4 * 10
    assert done.seconds == 24 * 4 * 10 / num_slots


def test_the_last_trial_is_waited_for() -> None:
    trials = [KnownTrial([0.5]), KnownTrial([0.5]), KnownTrial([0.5] * 5, epoch_seconds=2.0)]
    assert search(trials, NoRule(), 2).seconds == 11.0


def test_arms_take_turns_and_do_not_compete() -> None:
    trials = {"good": [KnownTrial([0.9] * 3)] * 3, "bad": [KnownTrial([0.1] * 3)] * 3}
    done = simulate(trials, {"good": Rungs((1,), 3), "bad": Rungs((1,), 3)}, 1)
    assert done.arms["good"].num_epochs == done.arms["bad"].num_epochs == (3, 1, 1)


def test_a_slot_is_given_to_a_promotion_first() -> None:
    judged: list[tuple[int, int]] = []

    class Watched(PromotionRungs):
        def judge(self, trial: int, epoch: int, score: float, best: float | None = None) -> Decision:
            judged.append((trial, epoch))
            return super().judge(trial, epoch, score, best)

    trials = [KnownTrial([level] * 3) for level in (0.1, 0.2, 0.05, 0.01)]
    assert search(trials, Watched((1,), 2)).arms["all"].num_epochs == (3, 3, 1, 1)
    assert judged == [(0, 1), (1, 1), (1, 2), (2, 1), (3, 1), (0, 2)]


RECORDED = Path(__file__).parents[3] / "benchmarks" / "curves" / "two_optimizers.json"


@pytest.fixture(scope="module")
def recorded() -> list[KnownTrial]:
    """24 trials of sgd on real images, trained in full once, by rising final score."""
    trials = [KnownTrial(trial["val_accuracy"]) for trial in json.loads(RECORDED.read_text())["sgd"]["trials"]]
    return sorted(trials, key=lambda trial: trial.scores[-1])


# Real curves cross: the best trial may be lost, and rising is not rising at every rung. Of 24 * 27 = 648 epochs:
@pytest.mark.parametrize(
    ("rule", "order", "num_epochs", "rank"),
    [
        ("asha", "rising", 368, 2),
        ("asha", "falling", 60, 1),
        ("asha", "random", 90, 2),
        ("asha_promotion", "rising", 240, 2),
        ("asha_promotion", "falling", 70, 2),
        ("asha_promotion", "random", 78, 2),
        ("median", "rising", 596, 1),
        ("median", "falling", 232, 1),
        ("median", "random", 314, 1),
    ],
)
def test_epochs_spent_and_rank_of_the_winner_on_recorded_curves(
    recorded: list[KnownTrial], rule: str, order: str, num_epochs: int, rank: int
) -> None:
    trials = list(recorded)
    if order == "falling":
        trials.reverse()
    elif order == "random":
        random.Random(0).shuffle(trials)
    section = RULES[rule].section.model_validate({"type": rule})
    ran = search(trials, RULES[rule].build(section, RuleContext(EPOCHS))).arms["all"].num_epochs
    assert (sum(ran), rank_of_winner(trials, ran)) == (num_epochs, rank)


@pytest.mark.parametrize("rule", ["asha", "asha_promotion", "pbt", "median"])
def test_looks_at_the_rungs_alone_come_to_the_same(rule: str) -> None:
    row, levels = RULES[rule], random.Random(3).sample(range(100), 20)
    section = row.section(type=rule)
    rungs = section.rungs(EPOCHS) or range(1, EPOCHS)
    every = [KnownTrial([level / 100] * EPOCHS, setup_seconds=0.5) for level in levels]
    some = [KnownTrial([level / 100] * (len(rungs) + 1), (*rungs, EPOCHS), setup_seconds=0.5) for level in levels]
    found = [search(trials, row.build(section, RuleContext(EPOCHS, 20, 0)), num_slots=3) for trials in (every, some)]
    assert found[0] == found[1]
    assert rule == "pbt" or sum(found[0].arms["all"].num_epochs) < 20 * EPOCHS
