"""A search that was too small or too narrow says so, and by which overrides it goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tracking.analysis.growth import plan_growth
from tracking.names import STAGE_SEARCH, TrialState
from tracking.table import SweepTable, TrialRow, Value

LR: Mapping[str, Any] = {
    "key": "parameters.lr", "name": "lr", "where": {}, "min": 1e-4, "max": 1.0, "values": None, "exponents": False,
    "log": True, "step": None, "least": 0.0, "most": None, "least_open": True, "most_open": False,
}  # fmt: skip
DEPTH: Mapping[str, Any] = {**LR, "key": "parameters.depth", "name": "depth", "min": 1, "max": 4, "log": False} | {
    "step": 1,
    "least": 1,
    "least_open": False,
}
BUDGET: Mapping[str, float] = {"budget.trials_per_arm": 4}


def build_table(
    scores: Mapping[str, Sequence[float | None]],
    *ranges: Mapping[str, Any],
    budget: Mapping[str, float] = BUDGET,
    metric: str = "val_accuracy",
    **limits: Any,
) -> SweepTable:
    """A sweep whose best trial of each arm is the first, with lr 0.01 and depth 2; one without a score diverged."""
    search = {
        "can_grow": True,
        "exhaustive": False,
        "budget": dict(budget),
        "target": None,
        "ranges": list(ranges),
        **limits,
    }
    trials = tuple(
        TrialRow(
            f"{arm}-{number}",
            number,
            arm,
            STAGE_SEARCH,
            TrialState.DIVERGED if score is None else TrialState.COMPLETED,
            "",
            0,
            {"lr": 0.01, "depth": 2, "optimizer": arm},
            {} if score is None else {metric: ((1, score),)},
        )
        for arm, each in scores.items()
        for number, score in enumerate(each)
    )
    goal = "maximize" if metric == "val_accuracy" else "minimize"
    return SweepTable(
        "id", "n", "p", "completed", metric, goal, "optimizer", tuple(scores), ("lr", "depth"), {"search": search}, "",
        trials,
    )  # fmt: skip


def set_best(table: SweepTable, arm: str, **parameters: Value) -> SweepTable:
    """The sweep with other settings of an arm's best trial."""
    trials = [
        replace(trial, parameters={**trial.parameters, **parameters}) if trial.trial_id == f"{arm}-0" else trial
        for trial in table.trials
    ]
    return replace(table, trials=tuple(trials))


FLAT = {"sgd": [0.7, 0.7, 0.7, 0.7], "adam": [0.6, 0.6, 0.6, 0.6]}


def test_a_search_that_is_wide_and_long_enough_asks_for_nothing() -> None:
    assert plan_growth(build_table(FLAT, LR, DEPTH)) is None


@pytest.mark.parametrize(
    ("ranges", "best", "override", "told"),
    [
        (
            [LR],
            {"lr": 0.9},
            "parameters.lr.max=10",
            "A best setting lies at the edge of what was searched, and a better one may lie beyond: lr 0.9 of sgd (",
        ),
        ([LR], {"lr": 1.1e-4}, "parameters.lr.min=1e-05", "lr 0.00011 of sgd (0.0001 to 1)."),
        ([{**LR, "most": 2.0}], {"lr": 0.9}, "parameters.lr.max=2", "lr 0.9 of sgd"),
        ([DEPTH], {"depth": 4}, "parameters.depth.max=6", "depth 4 of sgd (1 to 4)."),
        (
            [{**LR, "min": math.log(1e-4), "max": 0.0, "exponents": True}],
            {"lr": 0.9},
            f"parameters.lr.max={math.log(10):.6g}",
            "lr 0.9 of sgd (0.0001 to 1).",
        ),
    ],
)
def test_a_best_setting_at_an_edge_asks_for_a_wider_range_and_more_trials_on_it(
    ranges: Sequence[Mapping[str, Any]], best: Mapping[str, Value], override: str, told: str
) -> None:
    growth = plan_growth(set_best(build_table(FLAT, *ranges), "sgd", **best))
    assert growth is not None
    assert growth.overrides == (override, "budget.trials_per_arm=6")
    assert told in growth.reasons[0]


@pytest.mark.parametrize(
    ("values", "best", "override"),
    [
        ([0.001, 0.01, 0.1], 0.1, "parameters.lr.values=[0.001, 0.01, 0.1, 1.0]"),
        ([0.001, 0.01, 0.1], 0.001, "parameters.lr.values=[0.0001, 0.001, 0.01, 0.1]"),
        ([32, 64, 128], 128, "parameters.lr.values=[32, 64, 128, 256]"),
        ([0.0, 0.5, 1.0], 1.0, "parameters.lr.values=[0.0, 0.5, 1.0, 1.5]"),
    ],
)
def test_the_end_of_a_list_asks_for_the_next_of_it(values: list[float], best: float, override: str) -> None:
    step = 1 if isinstance(best, int) else None
    listed = {**LR, "min": values[0], "max": values[-1], "values": values, "log": values[0] > 0, "step": step}
    ahead = {**FLAT, "sgd": [0.75, 0.7, 0.7, 0.7]}
    growth = plan_growth(set_best(build_table(ahead, {**listed, "least_open": False}), "sgd", lr=best))
    assert growth is not None
    assert growth.overrides[0] == override
    assert f"({', '.join(f'{value:g}' for value in values)})" in growth.reasons[0]
    most = {**listed, "most": best}
    assert best == values[0] or plan_growth(set_best(build_table(FLAT, most), "sgd", lr=best)) is None


def test_a_list_that_is_too_short_for_two_arms_at_both_ends_grows_at_both() -> None:
    listed = {**DEPTH, "values": [2, 4, 8], "log": True}
    table = set_best(set_best(build_table(FLAT, listed), "sgd", depth=8), "adam", depth=2)
    growth = plan_growth(table)
    assert growth is not None
    assert growth.overrides[0] == "parameters.depth.values=[1, 2, 4, 8, 16]"


@pytest.mark.parametrize(("beside", "is_told"), [(0.698, False), (0.69, True), (None, True)])
def test_an_end_of_a_list_that_is_level_with_the_value_beside_it_is_no_edge(
    beside: float | None, is_told: bool
) -> None:
    """Of three values the best lies at an end two times in three by luck alone."""
    listed = {**DEPTH, "values": [1, 2, 4, 8], "log": True}
    table = set_best(build_table({**FLAT, "sgd": [0.7, beside, 0.65, 0.65]}, listed), "sgd", depth=8)
    trials = [
        replace(trial, parameters={**trial.parameters, "depth": 4}) if trial.trial_id == "sgd-1" else trial
        for trial in table.trials
    ]
    growth = plan_growth(replace(table, trials=tuple(trials)))
    told = growth is not None and any("at the edge" in reason for reason in growth.reasons)
    assert told is is_told


def test_what_cannot_go_further_is_no_edge() -> None:
    assert plan_growth(set_best(build_table(FLAT, DEPTH), "sgd", depth=1)) is None


def test_a_range_that_arms_share_is_widened_once_on_each_side_and_ranges_of_other_choices_are_not() -> None:
    of_adam = {**LR, "key": "parameters.optimizer.choices.adam.lr", "where": {"optimizer": "adam"}}
    table = set_best(set_best(build_table(FLAT, DEPTH, of_adam), "sgd", depth=4, lr=1.0), "adam", depth=4, lr=1.0)
    growth = plan_growth(table)
    assert growth is not None
    widened = ("parameters.depth.max=6", "parameters.optimizer.choices.adam.lr.max=10")
    assert growth.overrides == (*widened, "budget.trials_per_arm=6")
    (reason,) = growth.reasons
    assert reason.startswith("Best settings lie at the edge of what was searched, and a better one may lie beyond: ")
    assert reason.endswith(": depth 4 of sgd (1 to 4), depth 4 of adam (1 to 4), lr 1 of adam (0.0001 to 1).")


def test_a_best_that_still_grows_asks_for_more_trials() -> None:
    growth = plan_growth(build_table({**FLAT, "adam": [0.6, 0.5, 0.4, 0.3]}, LR))
    assert growth is not None
    # the best of 3 of 4: 0.6 in three of four draws, else 0.5
    assert growth.reasons[0].endswith("(points: adam 2.5).")
    assert growth.overrides == ("budget.trials_per_arm=6",)


def test_trials_that_diverged_count_as_the_worst() -> None:
    assert plan_growth(build_table({**FLAT, "adam": [0.6, 0.6, None, None]}, LR)) is None
    growth = plan_growth(build_table({**FLAT, "adam": [0.6, 0.5, None, None]}, LR))
    assert growth is not None
    assert growth.reasons[0].endswith("(points: adam 2.5).")


@pytest.mark.parametrize(("second", "grows"), [(0.502, False), (0.9, True)])
def test_a_loss_grows_by_its_size(second: float, grows: bool) -> None:
    scores = {arm: [0.5, second, second, second] for arm in FLAT}
    growth = plan_growth(build_table(scores, LR, metric="val_loss"))
    assert (growth is not None) == grows


def test_arms_with_unequal_numbers_of_trials_ask_for_more() -> None:
    growth = plan_growth(build_table({**FLAT, "adam": [0.6, 0.6, 0.6]}, LR))
    assert growth is not None
    assert growth.reasons == ("adam had 3 trials, sgd 4: the arms were not searched alike.",)


def test_every_limit_of_the_budget_is_raised_and_one_of_all_arms_by_whole_trials_of_each() -> None:
    limits = {"run_cap": 9, "budget.hours": 0.5, "budget.plateau": 3, "budget.epochs_per_arm": 10}
    growth = plan_growth(set_best(build_table(FLAT, DEPTH, budget=limits), "sgd", depth=4))
    assert growth is not None
    raised = ("run_cap=12", "budget.hours=0.75", "budget.plateau=5", "budget.epochs_per_arm=15")
    assert growth.overrides == ("parameters.depth.max=6", *raised)


def test_a_grid_grows_by_its_ranges_alone() -> None:
    rising = {**FLAT, "adam": [0.6, 0.5, 0.4]}
    assert plan_growth(build_table(rising, DEPTH, budget={}, exhaustive=True)) is None
    growth = plan_growth(set_best(build_table(rising, DEPTH, budget={}, exhaustive=True), "sgd", depth=4))
    assert growth is not None
    assert growth.overrides == ("parameters.depth.max=6",)


def test_a_search_that_has_reached_its_target_asks_for_nothing() -> None:
    at_edge = set_best(build_table(FLAT, DEPTH, target=0.69), "sgd", depth=4)
    assert plan_growth(at_edge) is None
    assert plan_growth(set_best(build_table(FLAT, DEPTH, target=0.71), "sgd", depth=4)) is not None


@pytest.mark.parametrize("search", [None, {}, {"budget": {}}, {"ranges": [{"key": "lr"}], "budget": {}}, "text"])
def test_a_manifest_without_limits_or_with_others_says_nothing(search: object) -> None:
    table = set_best(build_table(FLAT, DEPTH), "sgd", depth=4)
    assert plan_growth(replace(table, manifest={"search": search})) is None
