import math
from collections.abc import Mapping

import pytest

from sweeps.space.distributions import Categorical, Constant, Distribution
from sweeps.space.numeric import IntUniform, LogUniformValues
from sweeps.stopping.pbt import Pbt, PbtRule, mutate
from sweeps.stopping.rule import CONTINUE
from trainer.config import Value

SPACE: dict[str, Distribution] = {
    "lr": LogUniformValues(distribution="log_uniform_values", min=1e-4, max=1.0),
    "batch_size": Categorical(values=(32, 64, 128)),
    "max_iterations": IntUniform(min=1, max=4),
    "optimizer": Constant(value="adam"),
    "width": LogUniformValues(distribution="log_uniform_values", min=0.25, max=2.0),
    "seed": IntUniform(min=0, max=99),
}
DONOR: dict[str, Value] = {
    "lr": 0.1,
    "batch_size": 64,
    "max_iterations": 2,
    "optimizer": "adam",
    "width": 0.5,
    "seed": 7,
}


def build(members: int, quantile: float = 0.25, epochs: tuple[int, ...] = (2, 4)) -> PbtRule:
    return PbtRule(epochs, members, quantile, seed=1)


def change(seed: int, section: Pbt | None = None, **limits: Value) -> dict[str, Value]:
    def is_legal(parameters: Mapping[str, Value]) -> bool:
        return all(parameters[name] == value for name, value in limits.items())

    return mutate(section or Pbt(type="pbt"), SPACE, DONOR, seed, is_legal)


class TestRule:
    def test_nobody_goes_on_before_the_generation_is_complete(self) -> None:
        rule = build(3)
        for member in (2, 0):
            assert rule.judge(member, 1, 0.1) is CONTINUE
            assert rule.judge(member, 2, 0.1).action == "pause"
            assert rule.next_promoted() is None
        rule.judge(1, 2, 0.1)
        order = []
        while (member := rule.next_promoted()) is not None:
            rule.promote(member)
            order.append(member)
        assert order == [0, 1, 2]

    def test_a_member_that_ended_is_not_waited_for(self) -> None:
        rule = build(3)
        rule.judge(0, 2, 0.1)
        rule.record_ended(1, 1, math.nan)
        assert rule.next_promoted() is None
        rule.withdraw(2)
        assert rule.next_promoted() == 0

    def test_the_worst_become_copies_of_the_best(self) -> None:
        rule = build(8)
        for member in range(8):
            rule.judge(member, 2, member / 10)
        donors = [rule.find_donor(member, 2) for member in range(8)]
        assert donors[2:] == [None] * 6
        assert set(donors[:2]) <= {6, 7}
        assert [rule.find_donor(member, 2) for member in range(8)] == donors

    def test_a_score_that_is_not_finite_is_the_worst(self) -> None:
        rule = build(4)
        for member, score in enumerate((math.inf, 0.1, 0.2, 0.3)):
            rule.judge(member, 2, score)
        assert [rule.find_donor(member, 2) for member in range(4)] == [3, None, None, None]

    @pytest.mark.parametrize("members", range(1, 12))
    @pytest.mark.parametrize("quantile", [0.01, 0.25, 0.5])
    def test_nobody_is_both_best_and_worst(self, members: int, quantile: float) -> None:
        rule = build(members, quantile)
        for member in range(members):
            rule.judge(member, 2, 0.5)
        pairs = {member: donor for member in range(members) if (donor := rule.find_donor(member, 2)) is not None}
        assert not set(pairs) & set(pairs.values())
        assert len(pairs) == min(math.ceil(quantile * members), members // 2)

    def test_what_becomes_of_a_generation_does_not_hang_on_the_order_of_arrival(self) -> None:
        scores = {0: 0.3, 1: 0.9, 2: 0.9, 3: 0.1, 4: 0.5, 5: 0.1}
        found = []
        for order in ((0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0)):
            rule = build(6, 0.4)
            for member in order:
                rule.judge(member, 2, scores[member])
            found.append([rule.find_donor(member, 2) for member in range(6)])
        assert found[0] == found[1]

    def test_a_result_beyond_a_generation_says_that_the_member_went_on(self) -> None:
        rule = build(2)
        for member in (0, 1):
            rule.judge(member, 2, 0.1)
        rule.judge(0, 3, 0.2)  # of a sweep that is replayed
        assert rule.next_promoted() == 1
        assert rule.judge(0, 2, 0.9) is CONTINUE  # and of one that repeats epochs

    def test_what_failed_while_it_was_saved_is_nobodys_donor(self) -> None:
        rule = build(4)
        for member, score in enumerate((0.1, 0.2, 0.3, 0.9)):
            rule.judge(member, 2, score)
        rule.withdraw(3)
        assert [rule.find_donor(member, 2) for member in range(3)] == [2, None, None]

    def test_a_population_that_stays_smaller_than_it_was_to_be_goes_on(self) -> None:
        rule = build(9)
        for member in range(3):
            rule.judge(member, 2, member / 10)
        assert rule.next_promoted() is None
        rule.close(3)
        assert rule.next_promoted() == 0


class TestMutate:
    def test_the_same_seed_gives_the_same_change_and_another_another(self) -> None:
        assert change(1) == change(1)
        assert len({repr(change(seed)) for seed in range(20)}) > 10

    @pytest.mark.parametrize("seed", range(30))
    def test_every_change_lies_in_the_space_and_leaves_the_network_alone(self, seed: int) -> None:
        changed = change(seed, Pbt(type="pbt", factor=9.0))
        assert all(SPACE[name].contains(value) for name, value in changed.items())
        assert {name: changed[name] for name in ("optimizer", "width", "seed")} == {
            "optimizer": "adam",
            "width": 0.5,
            "seed": 7,
        }

    def test_without_resampling_numbers_are_multiplied_or_divided_and_values_step(self) -> None:
        changed = [change(seed, Pbt(type="pbt", resample=0.0, factor=2.0)) for seed in range(40)]
        assert {each["lr"] for each in changed} == {0.05, 0.2}
        assert {each["batch_size"] for each in changed} == {32, 128}
        assert {each["max_iterations"] for each in changed} == {1, 4}

    def test_a_whole_number_moves_though_the_factor_is_small(self) -> None:
        changed = {change(seed, Pbt(type="pbt", resample=0.0, factor=1.1))["max_iterations"] for seed in range(20)}
        assert changed == {1, 3}

    def test_at_the_edge_of_a_range_it_goes_the_other_way(self) -> None:
        donor = DONOR | {"lr": 1.0, "batch_size": 128}
        for seed in range(20):
            section = Pbt(type="pbt", resample=0.0, factor=2.0)
            changed = mutate(section, SPACE, donor, seed, lambda _: True)
            assert (changed["lr"], changed["batch_size"]) == (0.5, 64)

    def test_nothing_is_switched_on_or_off(self) -> None:
        space: dict[str, Distribution] = {
            "ema_decay": Categorical(values=(None, 0.9, 0.99)),
            "momentum": Categorical(values=(0.0, 0.5, 0.9)),
        }
        for seed in range(30):
            for section in (Pbt(type="pbt"), Pbt(type="pbt", resample=1.0)):
                off = mutate(section, space, {"ema_decay": None, "momentum": 0.0}, seed, lambda _: True)
                assert off == {"ema_decay": None, "momentum": 0.0}
                on = mutate(section, space, {"ema_decay": 0.9, "momentum": 0.9}, seed, lambda _: True)
                assert on["ema_decay"]
                assert on["momentum"]

    def test_a_change_that_the_sweep_forbids_is_drawn_again(self) -> None:
        assert {change(seed, batch_size=128)["batch_size"] for seed in range(10)} == {128}
        assert change(1, optimizer="sgd") == DONOR, "where none is allowed, the donor's settings stay"


def test_a_member_whose_score_is_lost_is_told_all_the_same_why_it_waits_no_more() -> None:
    rule = PbtRule((1, 2), 2, 0.5, 0)
    rule.judge(0, 1, 0.5)
    rule.withdraw(0)
    assert rule.explain_pause(0) == "pbt: its generation has ended"
