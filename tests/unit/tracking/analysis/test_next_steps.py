"""What to do after a sweep: a command for each thing that it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tracking.analysis.leaderboard import build_leaderboard
from tracking.analysis.next_steps import NextStep, build_next_steps
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, SweepState, TrialState
from tracking.table import Confirmation, SweepTable, TrialRow

SEARCH: Mapping[str, Any] = {
    "can_grow": True,
    "exhaustive": False,
    "budget": {"budget.trials_per_arm": 1},
    "target": None,
    "ranges": [],
}
NOISE = (0.004, -0.006, 0.005, -0.002, 0.006, -0.005, 0.001, -0.003)


def build_arm(arm: str, accuracies: Sequence[float], reached: float = 0.7) -> list[TrialRow]:
    """Five search trials of an arm that all reached the same, and the retrainings of the first."""
    best, *others = (
        TrialRow(
            f"{arm}-{number}", number, arm, STAGE_SEARCH, TrialState.COMPLETED, "", number, {"lr": 0.1 + number / 100}
        )
        for number in range(5)
    )
    best, *others = (replace(each, history={"val_accuracy": ((1, reached),)}) for each in (best, *others))
    retrained = [
        replace(best, trial_id=f"{arm}-c{seed}", number=seed, stage=STAGE_CONFIRM, seed=seed)
        for seed in range(len(accuracies))
    ]
    tested = [
        replace(each, parameters={"lr": 0.1, "seed": each.seed}, summary={"test_accuracy": accuracy})
        for each, accuracy in zip(retrained, accuracies, strict=True)
    ]
    return [best, *others, *tested]


def build_table(sgd: Sequence[float], adam: Sequence[float], seeds: int = 8, adam_reached: float = 0.71) -> SweepTable:
    trials = (*build_arm("sgd", sgd), *build_arm("adam", adam, adam_reached))
    return SweepTable(
        "s-1", "n", "p", SweepState.COMPLETED, "val_accuracy", "maximize", "optimizer", ("sgd", "adam"), ("lr",),
        {"search": SEARCH}, "", trials, confirmation=Confirmation(seeds=seeds),
    )  # fmt: skip


def list_steps(table: SweepTable) -> list[NextStep]:
    return list(build_next_steps(table, build_leaderboard(table)))


CLEAR = build_table([0.6 + noise for noise in NOISE], [0.7 - noise for noise in NOISE])
UNCLEAR = build_table([0.695 + noise for noise in NOISE[:6]], [0.7 - noise for noise in NOISE[:6]], seeds=6)


def test_a_verdict_that_stands_asks_for_nothing() -> None:
    (step,) = list_steps(CLEAR)
    assert step.command == ""
    assert step.reason.startswith("Nothing: the verdict stands, ")


def test_a_verdict_without_enough_seeds_asks_for_so_many_more() -> None:
    (step,) = list_steps(UNCLEAR)
    assert step.reason.startswith("adam and sgd cannot be told apart yet: ")
    more = int(step.reason.split(": ")[1].split()[0])
    assert more > 0
    assert step.command == f"sweeps confirm s-1 --seeds {6 + more}"


def test_arms_that_no_number_of_seeds_tells_apart_ask_for_nothing() -> None:
    wild = build_table([0.5 + 80 * noise for noise in NOISE], [0.5 - 80 * noise for noise in NOISE])
    (step,) = list_steps(wild)
    assert step == NextStep("Nothing: no affordable number of seeds would tell the best arms apart.")


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_seed_or_none_asks_for_a_verdict(seeds: int) -> None:
    (step,) = list_steps(build_table([0.6] * seeds, [0.7] * seeds, seeds=1))
    assert step.command == "sweeps confirm s-1 --seeds 10"


def fail(table: SweepTable, trial_id: str) -> SweepTable:
    failed = (
        replace(trial, state=TrialState.FAILED, summary={}) if trial.trial_id == trial_id else trial
        for trial in table.trials
    )
    return replace(table, trials=tuple(failed))


def test_a_failed_trial_is_run_again_unless_its_arms_best_have_been_chosen() -> None:
    steps = list_steps(fail(CLEAR, "sgd-c3"))
    assert steps[0] == NextStep("sgd-c3 failed; this runs it again.", "sweeps resume s-1 --failed")
    other = replace(CLEAR.trials[0], trial_id="sgd-1", number=1, state=TrialState.FAILED)
    assert all("--failed" not in step.command for step in list_steps(replace(CLEAR, trials=(*CLEAR.trials, other))))
    searched = [trial for trial in (*CLEAR.trials, other) if trial.stage == STAGE_SEARCH]
    assert list_steps(replace(CLEAR, trials=tuple(searched)))[0].command == "sweeps resume s-1 --failed"


@pytest.mark.parametrize("state", [SweepState.INTERRUPTED, SweepState.FAILED])
def test_a_sweep_that_has_not_ended_goes_on_and_nothing_else(state: SweepState) -> None:
    (step,) = list_steps(replace(UNCLEAR, state=state))
    assert step.command == "sweeps resume s-1"
    (step,) = list_steps(replace(fail(UNCLEAR, "sgd-c3"), state=state))
    assert step.command == "sweeps resume s-1 --failed"


def test_a_sweep_that_runs_asks_for_nothing_yet() -> None:
    assert list_steps(replace(UNCLEAR, state="running")) == []


def test_a_larger_search_comes_before_more_seeds_and_its_overrides_are_quoted() -> None:
    lr = {
        "key": 'parameters.optimizer.choices."my.own:Opt".lr', "name": "lr", "where": {}, "min": 0.01, "max": 0.1,
        "values": None,
        "exponents": False, "log": True, "step": None, "least": 0, "most": None, "least_open": True,
        "most_open": False,
    }  # fmt: skip
    steps = list_steps(replace(UNCLEAR, manifest={"search": {**SEARCH, "ranges": [lr]}}))
    assert [step.command.split(" s-1 ")[0] for step in steps] == ["sweeps run --extend", "sweeps confirm"]
    sets = """--set 'parameters.optimizer.choices."my.own:Opt".lr.max=0.32' --set budget.trials_per_arm=2"""
    assert steps[0].command == f"sweeps run --extend s-1 {sets}"
    assert steps[0].reason.endswith("beyond: lr 0.1 of sgd (0.01 to 0.1), lr 0.1 of adam (0.01 to 0.1).")


def test_a_lead_that_may_be_luck_asks_for_as_many_trials_as_would_show_it() -> None:
    """Of five trials one is ahead: as large a share of 15, the most in one step, would not be enough either."""
    first, *others = build_arm("adam", [0.7 - noise for noise in NOISE], 0.7)
    ahead = replace(first, history={"val_accuracy": ((1, 0.703),)})
    trials = [trial for trial in CLEAR.trials if trial.arm == "sgd"]
    lucky = replace(CLEAR, trials=(*trials, ahead, *others))
    (step,) = list_steps(lucky)
    assert step.reason.startswith("adam leads sgd, but its search is too short to show that this is no luck.")
    assert step.command == "sweeps run --extend s-1 --set budget.trials_per_arm=3"
    (step,) = list_steps(replace(lucky, manifest={"search": {**SEARCH, "can_grow": False}}))
    assert step == NextStep(
        "Nothing a command could do: adam leads sgd, but its search is too short to show that this is no luck. Start a "
        "new sweep with more trials."
    )
    assert list_steps(replace(lucky, manifest={"search": {"exhaustive": True}}))[0].reason.startswith("Nothing: the")


def test_a_sweep_recorded_without_limits_is_told_of_seeds_alone() -> None:
    (step,) = list_steps(replace(CLEAR, manifest={}))
    assert step == NextStep("Nothing: the verdict stands. What was searched is not in its record.")
    assert [step.command.split()[1] for step in list_steps(replace(UNCLEAR, manifest={}))] == ["confirm"]


def test_a_population_is_told_of_its_edges_and_given_no_command() -> None:
    lr = {
        "key": "parameters.lr", "name": "lr", "where": {}, "min": 0.01, "max": 0.1, "values": None, "exponents": False,
        "log": True, "step": None, "least": 0, "most": None, "least_open": True, "most_open": False,
    }  # fmt: skip
    search = {**SEARCH, "can_grow": False, "ranges": [lr]}
    (step,) = list_steps(replace(build_table([], []), manifest={"search": search}))
    assert step.command == ""
    assert step.reason.endswith("(0.01 to 0.1). A population cannot be searched further: start a new sweep.")
