"""The contract of every row of the table of early-stopping rules."""

import copy
import math
import pickle
import random
from typing import Any

import pytest

from sweeps.plan.simulation import KnownTrial, simulate
from sweeps.spec import SweepSpec
from sweeps.stopping.rule import Decision, Rule
from sweeps.stopping.rules import RULES, RuleContext, RuleRow

SECTIONS: dict[str, dict[str, Any]] = {
    "asha": {},
    "asha_promotion": {},
    "hyperband": {"min_iter": 1, "brackets": 3},
    "median": {},
    "pbt": {"interval": 2},
}
PARAMETERS = {"lr": {"distribution": "constant", "value": 0.1}}
ROWS = pytest.mark.parametrize("row", RULES.values(), ids=RULES)


def build_section(row: RuleRow) -> Any:
    return row.section.model_validate({"type": row.name, **SECTIONS[row.name]})


def build_rule(row: RuleRow, num_trials: int = 12) -> Rule:
    return row.build(build_section(row), RuleContext(num_epochs=9, num_trials=num_trials, seed=1))


def judge_all(rule: Rule, events: list[tuple[int, int, float]]) -> list[Decision]:
    return [rule.judge(*event) for event in events]


def draw_events(seed: int) -> list[tuple[int, int, float]]:
    """Results of 12 trials, each from its first epoch on, mixed."""
    luck = random.Random(seed)
    reached, events = [0] * 12, []
    for _ in range(60):
        trial = luck.randrange(12)
        reached[trial] += 1
        events.append((trial, reached[trial], luck.choice([0.1, 0.2, luck.random(), math.nan])))
    return events


@ROWS
class TestRow:
    """What holds for all rules."""

    def test_says_what_it_is_and_where_it_comes_from(self, row: RuleRow) -> None:
        assert row.description
        assert row.source.split(", ")[0]
        assert RULES[row.name] is row

    def test_is_written_in_a_sweep_file_by_its_name(self, row: RuleRow) -> None:
        section = {"type": row.name, **SECTIONS[row.name]}
        spec = SweepSpec.model_validate({"early_terminate": section, "parameters": PARAMETERS})
        assert spec.early_terminate == build_section(row)

    def test_what_it_said_stays_and_changes_nothing_when_it_comes_again(self, row: RuleRow) -> None:
        rule, events = build_rule(row), draw_events(1)
        judge_all(rule, events)
        state = repr(vars(rule))
        assert judge_all(rule, [(trial, epoch, 0.99) for trial, epoch, _ in events]) == judge_all(rule, events)
        assert repr(vars(rule)) == state

    def test_a_copy_goes_on_as_the_original(self, row: RuleRow) -> None:
        rule = build_rule(row)
        judge_all(rule, draw_events(1))
        twin, restored = copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))
        more = [(trial + 12, epoch, score) for trial, epoch, score in draw_events(2)]
        said = judge_all(rule, more)
        assert judge_all(twin, more) == said
        assert [each.action for each in judge_all(restored, more)] == [each.action for each in said]

    def test_every_verdict_but_to_go_on_has_a_reason(self, row: RuleRow) -> None:
        decisions = judge_all(build_rule(row), draw_events(3))
        assert any(decision.action != "go" for decision in decisions)
        assert all(bool(decision.reason) != (decision.action == "go") for decision in decisions)

    def test_pauses_only_if_the_row_says_so(self, row: RuleRow) -> None:
        rule = build_rule(row)
        paused = [decision.action == "pause" for decision in judge_all(rule, draw_events(3))]
        assert any(paused) == row.pauses
        assert bool(rule.pause_epochs) == row.pauses

    def test_a_field_at_chance_level_does_not_run_to_its_end(self, row: RuleRow) -> None:
        trials = {"all": [KnownTrial([0.1] * 9)] * 40}
        ran = simulate(trials, {"all": build_rule(row, 40)}, 2).arms["all"].num_epochs
        if row.changes_settings:
            assert ran == (9,) * 40  # nobody is stopped, the worst are replaced
            return
        full = 10 if row.name == "hyperband" else 6  # its last bracket has no rung within the first three epochs
        assert sum(epochs == 9 for epochs in ran) <= full

    def test_diverged_trials_are_taken_in(self, row: RuleRow) -> None:
        trials = {"all": [KnownTrial([math.nan] * 9)] * 5 + [KnownTrial([0.5] * 9)]}
        ran = simulate(trials, {"all": build_rule(row, 6)}, 1).arms["all"].num_epochs
        assert ran[:5] == (1,) * 5
        assert ran[5] == 9
