from __future__ import annotations

from dataclasses import replace

from plain_table import plain_table, retraining, search_trial

from tracking.analysis.findings import build_cautions
from tracking.analysis.inclusions import tell_lost_inclusions
from tracking.analysis.leaderboard import build_leaderboard
from tracking.table import Confirmation, SweepTable

NOISE = (0.001, -0.002, 0.002, -0.001, 0.0005, -0.0005, 0.0015, -0.0015)


def build(
    *, momentum: float, sgd: float, searched: tuple[float, float] = (0.9, 0.99), compare: str = "optimizer"
) -> SweepTable:
    """sgd and momentum, retrained with eight seeds each; `searched` are the values that momentum's setting took."""
    trials = []
    for arm, reached in (("sgd", sgd), ("momentum", momentum)):
        values = [{"momentum": value} for value in searched] if arm == "momentum" else [{}, {}]
        best, other = (
            search_trial(arm, number, 0.5 - 0.1 * number, lr=0.1 * (number + 1), **each)
            for number, each in enumerate(values)
        )
        seeds = [retraining(best, seed, 0.5, reached + noise * (-1) ** len(arm)) for seed, noise in enumerate(NOISE)]
        trials += [best, other, *seeds]
    table = plain_table(*trials, confirmation=Confirmation(seeds=len(NOISE)))
    return replace(table, compare=compare, searched=("lr", "momentum"))


def tell(table: SweepTable) -> list[str]:
    return list(tell_lost_inclusions(table, build_leaderboard(table)))


def test_an_optimizer_that_lost_to_its_special_case_is_told() -> None:
    table = build(momentum=0.6, sgd=0.62)
    assert tell(table) == [
        "momentum is 2.00 points worse than sgd, which it can imitate with the momentum that was searched: its ranges "
        "or its budget are at fault, not the optimizer."
    ]
    assert tell(table)[0] in build_cautions(table, build_leaderboard(table))


def test_an_optimizer_that_could_not_have_found_it_is_not_blamed() -> None:
    assert tell(build(momentum=0.6, sgd=0.62, searched=(0.9, 0.9))) == []


def test_an_optimizer_that_won_needs_no_words() -> None:
    assert tell(build(momentum=0.62, sgd=0.6)) == []


def test_arms_that_are_not_optimizers_are_not_looked_at() -> None:
    assert tell(build(momentum=0.6, sgd=0.62, compare="model")) == []
