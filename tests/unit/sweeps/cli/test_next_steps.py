"""Every command that a sweep is told to go on with is taken: by the command line, and by what it asks for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import typer

from sweeps.cli.app import app
from sweeps.driver.history import History, MoreRetrainings, add_retrainings
from sweeps.running.extension import check_extension
from sweeps.space.arms import from_unit_cube, num_dimensions, searched
from sweeps.spec import SweepSpec, dump_spec, load_spec_text
from sweeps.spec.arms import build_arms, num_search_trials
from sweeps.spec.search_limits import describe_search
from tracking.analysis.leaderboard import build_leaderboard
from tracking.analysis.next_steps import NextStep, build_next_steps
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, SweepState, TrialState
from tracking.recording.events import SweepRecord
from tracking.table import Confirmation, SweepTable, TrialRow

NOISE = (0.004, -0.006, 0.005, -0.002, 0.006, -0.005)
LOG = "distribution: log_uniform_values"
SPACES = {
    "numbers": f"""
method: bayes
budget: {{trials_per_arm: 4}}
parameters:
  depth: {{min: 1, max: 3}}
  batch_size: {{values: [64, 32, 128]}}
  label_smoothing: {{min: 0.0, max: 0.3}}
  weight_decay: {{distribution: log_uniform, min: -9, max: -2}}
  dropout: {{distribution: q_uniform, q: 0.05, min: 0.1, max: 0.5}}
  optimizer:
    choices:
      sgd: {{lr: {{{LOG}, min: 1e-2, max: 1}}}}
      adam: {{lr: {{{LOG}, min: 1e-4, max: 1e-2}}, one_minus_beta1: {{{LOG}, min: 1e-3, max: 0.5}}}}
""",
    "own classes and limits of all arms": f"""
method: random
run_cap: 8
budget: {{hours: 0.5, plateau: 4, epochs_per_arm: 100}}
parameters:
  optimizer:
    choices:
      "torch.optim:Adagrad": {{lr: {{{LOG}, min: 1e-3, max: 1}}, eps: {{{LOG}, min: 1e-9, max: 1e-7}}}}
      adam: {{lr: {{distribution: inv_log_uniform_values, min: 1e-4, max: 1e-2}}}}
""",
    "a grid of whole numbers": """
method: grid
parameters:
  depth: {min: 2, max: 4}
  batch_size: {distribution: q_log_uniform_values, q: 32, min: 32, max: 128}
  optimizer: {values: [sgd, adam]}
""",
    "time alone": f"""
method: random
budget: {{hours: 1.5}}
parameters:
  lr: {{{LOG}, min: 1e-2, max: 1}}
  optimizer: {{values: [sgd, adam]}}
""",
}


def load(space: str, overrides: Sequence[str] = ()) -> SweepSpec:
    common = "compare: optimizer\nconfirm: {top: 1, seeds: 6}\n"
    return load_spec_text(common + SPACES[space], "sweep.yaml", overrides)


def build_table(spec: SweepSpec, coordinate: float, num_trials: Mapping[str, int]) -> SweepTable:
    """A finished sweep: each arm's best trial lies at this coordinate of all its ranges, and has six retrainings."""
    trials = []
    for index, arm in enumerate(build_arms(spec)):
        for number in range(num_trials[arm.name]):
            at = coordinate if number == 0 else 0.5
            parameters = from_unit_cube(arm, np.full(num_dimensions(arm), at))
            history = {"val_accuracy": ((1, 0.7 if number == 0 else 0.5),)}
            trials.append(
                TrialRow(
                    f"{arm.name}-{number}", number, arm.name, STAGE_SEARCH, TrialState.COMPLETED, "", 0, parameters,
                    history,
                )
            )  # fmt: skip
        best = trials[-num_trials[arm.name]]
        for seed in range(6):
            score = 0.7 + 0.004 * index + NOISE[seed] * (-1) ** index
            trials.append(
                replace(
                    best,
                    trial_id=f"{arm.name}-c{seed}",
                    number=seed,
                    seed=seed,
                    stage=STAGE_CONFIRM,
                    parameters={**best.parameters, "seed": seed},
                    summary={"test_accuracy": score},
                )
            )
    arms = tuple(arm.name for arm in build_arms(spec))
    names = tuple(dict.fromkeys(name for arm in build_arms(spec) for name in searched(arm)))
    return SweepTable(
        "s-1", "n", "p", SweepState.COMPLETED, "val_accuracy", "maximize", "optimizer", arms, names,
        {"search": describe_search(spec)}, "", tuple(trials), confirmation=Confirmation(seeds=6),
    )  # fmt: skip


def parse(step: NextStep) -> tuple[str, Mapping[str, Any]]:
    """The command of a step, and what it is given, as the command line understands it."""
    program, name, *arguments = shlex.split(step.command)
    assert program == "sweeps"
    group = typer.main.get_command(app)
    command = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]
    context = command.make_context(name, arguments)
    return name, context.params


@pytest.mark.parametrize("coordinate", [0.001, 0.999])
@pytest.mark.parametrize("space", SPACES)
def test_a_larger_search_is_taken_as_an_extension_and_is_wider(space: str, coordinate: float) -> None:
    begun = load(space)
    tried = {arm: limit or 5 for arm, limit in num_search_trials(begun, build_arms(begun)).items()}
    table = build_table(begun, coordinate, tried)
    steps = build_next_steps(table, build_leaderboard(table))
    name, given = parse(steps[0])
    assert (name, given["extend"], given["file"]) == ("run", "s-1", None)
    now = load_spec_text(dump_spec(begun), "resolved.yaml", given["overrides"])
    check_extension(begun, now, "s-1", tried)
    before, after = (describe_search(spec)["ranges"] for spec in (begun, now))
    wider = [new["name"] for old, new in zip(before, after, strict=True) if old != new]
    assert wider
    # what was tried lies inside now, unless it can be nothing beyond
    assert not any("a better one may lie beyond" in step.reason for step in _list_after(now, table))


def _list_after(now: SweepSpec, table: SweepTable) -> tuple[NextStep, ...]:
    wider = replace(table, manifest={"search": describe_search(now)})
    return build_next_steps(wider, build_leaderboard(wider))


@pytest.mark.parametrize("coordinate", [0.3, 0.999])
def test_more_seeds_are_taken_as_more_than_there_are(coordinate: float) -> None:
    spec = load("numbers")
    table = build_table(spec, coordinate, {"sgd": 4, "adam": 4})
    name, given = parse(build_next_steps(table, build_leaderboard(table))[-1])
    assert (name, given["sweep_id"], given["top"]) == ("confirm", "s-1", None)
    begun = SweepRecord("s-1", "n", "p", "", "", dump_spec(spec), {}, {}, "val_accuracy", "maximize", None, (), ())
    more = add_retrainings(spec, MoreRetrainings(given["seeds"], None), History(begun, begun, True, is_completed=True))
    assert more.confirm.seeds == given["seeds"] > 6


@pytest.mark.parametrize("state", [SweepState.COMPLETED, SweepState.INTERRUPTED])
def test_failed_trials_are_taken_to_run_again(state: SweepState) -> None:
    table = build_table(load("numbers"), 0.5, {"sgd": 4, "adam": 4})
    failed = replace(table.trials[-1], state=TrialState.FAILED, summary={})
    table = replace(table, trials=(*table.trials[:-1], failed), state=state)
    name, given = parse(build_next_steps(table, build_leaderboard(table))[0])
    assert (name, given["sweep_id"], given["failed"]) == ("resume", "s-1", True)
