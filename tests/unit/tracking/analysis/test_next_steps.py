"""What a report advises can be done: each command is taken by the command line, and by the sweep that it is for."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest
from build_table import build_table
from typer.main import get_command

from sweeps.cli.app import app
from sweeps.running.extension import check_extension
from sweeps.spec import SweepSpec, load_spec_text
from sweeps.spec.search_facts import describe_search
from tracking.analysis.edges import find_edges
from tracking.analysis.leaderboard import build_leaderboard, find_best
from tracking.analysis.next_steps import NextStep, build_next_steps
from tracking.names import TrialState
from tracking.table import SweepTable

TEXT = """
method: bayes
compare: optimizer
budget: {trials_per_arm: 6}
parameters:
  epochs: 9
  batch_size: {values: [32, 64, 128]}
  optimizer:
    choices:
      sgd: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}}
      momentum: {lr: {distribution: log_uniform_values, min: 1e-3, max: 1}, momentum: {min: 0.5, max: 0.99}}
      rmsprop: {lr: {values: [0.001, 0.01, 0.1]}}
      adam: {lr: {distribution: log_uniform, min: -9, max: -1}}
"""
INSIDE: dict[str, Any] = {"lr": 0.03, "batch_size": 64}


def load(*overrides: str) -> SweepSpec:
    return load_spec_text(TEXT, "sweep.yaml", overrides)


def build(spec: SweepSpec, arm: str = "sgd", state: str = "completed", **best: Any) -> SweepTable:
    """A sweep whose arms have their best settings inside their ranges, but for those of one arm."""
    table = build_table(state=state, manifest={"search": describe_search(spec)})
    values = {each: {**INSIDE, **({"lr": 0.01} if each == "rmsprop" else {})} for each in table.arms}
    values[arm] |= best
    changed = []
    origins = {each: find_best(table, each) for each in table.arms}
    for trial in table.trials:
        origin = origins[trial.arm]
        is_best = origin is not None and trial.configuration == origin.configuration
        known = {name: value for name, value in values[trial.arm].items() if is_best}
        changed.append(replace(trial, parameters={**trial.parameters, **known}))
    return replace(table, trials=tuple(changed))


def steps_of(table: SweepTable) -> tuple[NextStep, ...]:
    return build_next_steps(table, build_leaderboard(table))


def parse(command: str) -> Any:
    """The parameters of a command line; raises where it is not taken."""
    program, name, *arguments = shlex.split(command)
    assert program == "sweeps"
    return get_command(app).commands[name].make_context(name, arguments).params  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arm", "best", "override"),
    [
        ("sgd", {"lr": 0.9}, "parameters.optimizer.choices.sgd.lr.max=32.0"),
        ("sgd", {"lr": 0.0011}, "parameters.optimizer.choices.sgd.lr.min=3.2e-05"),
        ("momentum", {"momentum": 0.98}, "parameters.optimizer.choices.momentum.momentum.max=0.995"),
        ("rmsprop", {"lr": 0.1}, "parameters.optimizer.choices.rmsprop.lr.values=[0.001, 0.01, 0.1, 1.0]"),
        ("rmsprop", {"lr": 0.001}, "parameters.optimizer.choices.rmsprop.lr.values=[0.0001, 0.001, 0.01, 0.1]"),
        ("sgd", {"batch_size": 128}, "parameters.batch_size.values=[32, 64, 128, 256]"),
        ("adam", {"lr": 0.36}, "parameters.optimizer.choices.adam.lr.max="),
    ],
)
def test_a_best_setting_at_an_edge_is_advised_to_be_searched_further(
    arm: str, best: dict[str, Any], override: str
) -> None:
    spec = load()
    table = build(spec, arm, **best)
    (edge,) = find_edges(table)
    assert edge.override.startswith(override)
    step = next(each for each in steps_of(table) if each.command.startswith("sweeps run --extend"))
    assert edge.sentence in step.reason
    given = parse(step.command)
    assert given["extend"] == table.sweep_id
    assert given["overrides"] == ["budget.trials_per_arm=9", edge.override]
    check_extension(spec, load(*given["overrides"]), table.sweep_id, dict.fromkeys(table.arms, 6))


def test_an_end_that_cannot_be_crossed_is_no_edge() -> None:
    spec = load("parameters.optimizer.choices.momentum.momentum={min: 0.0, max: 0.9}")
    assert find_edges(build(spec, "momentum", momentum=0.0)) == ()
    assert len(find_edges(build(spec, "momentum", momentum=0.9))) == 1


def test_settings_inside_their_ranges_raise_no_alarm() -> None:
    assert find_edges(build(load())) == ()


def test_a_sweep_that_does_not_say_what_it_searched_has_no_edges() -> None:
    assert find_edges(build_table()) == ()


def test_what_set_cannot_name_is_advised_without_it() -> None:
    facts = describe_search(load())
    facts["arms"]["sgd"]["lr"]["path"] = None
    table = replace(build(load(), lr=0.9), manifest={"search": facts})
    (edge,) = find_edges(table)
    assert edge.override == ""
    assert "search 0.001 to 32" in edge.sentence


def test_missing_seeds_are_added_by_a_command() -> None:
    commands = [each.command for each in steps_of(build(load()))]
    (command,) = [each for each in commands if "confirm" in each]
    given = parse(command)
    assert given["seeds"] >= 6
    assert given["sweep_id"] == build_table().sweep_id


def test_a_sweep_that_is_not_done_goes_on_first() -> None:
    table = build(load(), state="interrupted", lr=0.9)
    (step,) = steps_of(table)
    assert parse(step.command)["sweep_id"] == table.sweep_id
    assert steps_of(replace(table, state="running")) == ()


def test_failed_trials_run_again_while_their_arms_best_are_not_chosen() -> None:
    table = build(load())
    good = TrialState.COMPLETED
    search = tuple(replace(trial, state=good) for trial in table.trials if trial.stage == "search")
    failed = replace(search[0], state=TrialState.FAILED)
    steps = steps_of(replace(table, trials=(failed, *search[1:])))
    assert steps[0].reason == f"{failed.trial_id} failed. When the cause is mended, run them again."
    assert parse(steps[0].command)["failed"] is True
    steps = steps_of(replace(table, trials=(failed, *search[1:], *table.confirmed())))
    assert not any("--failed" in each.command for each in steps), "their best are chosen, and it would be refused"


def test_a_population_is_not_extended() -> None:
    spec = load("method=random", "early_terminate={type: pbt}", "confirm={top: 0}")
    assert describe_search(spec)["can_extend"] is False
    steps = steps_of(build(spec, lr=0.9))
    assert "lies at the high edge" in steps[0].reason
    assert steps[0].command == ""
