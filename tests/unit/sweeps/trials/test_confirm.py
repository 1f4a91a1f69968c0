import math

import pytest

from sweeps.spec import Confirm, Select
from sweeps.trials.confirm import choose, list_candidates, list_retrainings, list_selection
from sweeps.trials.ledger import TrialEntry
from sweeps.trials.seeds import derive_seed, trial_seed
from tracking.names import STAGE_CONFIRM, STAGE_DEFAULT, STAGE_SEARCH, STAGE_SELECT, TrialState
from tracking.ranking import Goal


def entry(arm: str, **parameters: float) -> TrialEntry:
    return TrialEntry(f"{arm}-0", arm, STAGE_SEARCH, 0, 7, {"seed": 7, **parameters})


def looked_at(lr: float, score: float, state: TrialState = TrialState.COMPLETED) -> TrialEntry:
    trial = TrialEntry("adam-select-00", "adam", STAGE_SELECT, 0, 7, {"seed": 7, "lr": lr})
    trial.best_score, trial.state = score, state
    return trial


def test_two_trials_with_the_same_settings_are_one_candidate() -> None:
    ranking = [entry("adam", lr=0.1), entry("adam", lr=0.1), entry("adam", lr=0.2), entry("adam", lr=0.3)]
    assert list_candidates(ranking) == ({"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3})


def test_the_best_are_retrained_seed_by_seed_with_the_defaults_beside_them() -> None:
    chosen = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    trials = list_retrainings(chosen, {"lr": 1.0}, Confirm(top=2, seeds=2, defaults=True), 0)
    assert [(each.stage, each.repeat, each.configuration["lr"]) for each in trials] == [
        (STAGE_CONFIRM, 0, 0.1),
        (STAGE_CONFIRM, 0, 0.2),
        (STAGE_DEFAULT, 0, 1.0),
        (STAGE_CONFIRM, 1, 0.1),
        (STAGE_CONFIRM, 1, 0.2),
        (STAGE_DEFAULT, 1, 1.0),
    ]
    assert {each.seed for each in trials if each.repeat == 0} == {trials[0].seed}


def test_seeds_are_paired_between_arms_and_fresh() -> None:
    adam, sgd = (list_retrainings([{"lr": lr}], None, Confirm(seeds=10), 3) for lr in (0.1, 0.2))
    seeds = [trial.parameters["seed"] for trial in adam]
    assert seeds == [trial.parameters["seed"] for trial in sgd]
    assert len(set(seeds)) == 10
    assert not set(seeds) & {trial_seed(3, number) for number in range(1000)}
    selection = list_selection([{"lr": 0.1}, {"lr": 0.2}], Select(top=2, seeds=10), 3)
    assert not set(seeds) & {each.seed for each in selection}


def test_more_seeds_begin_with_those_there_were() -> None:
    few, many = (list_retrainings([{"lr": 0.1}], None, Confirm(seeds=seeds), 3) for seeds in (3, 9))
    assert many[:3] == few


def test_nothing_to_retrain_without_a_ranked_trial() -> None:
    assert list_retrainings([], {"lr": 1.0}, Confirm(seeds=2, defaults=True), 0) == ()
    assert list_selection([{"lr": 0.1}], Select(), 0) == ()  # of one, nothing is to be chosen


def test_the_selection_chooses_by_the_mean_over_fresh_seeds() -> None:
    candidates = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}, {"lr": 0.4}]
    selected = [looked_at(0.1, 0.5), looked_at(0.2, 0.7), looked_at(0.3, 0.6)]
    selected += [looked_at(0.1, 0.6), looked_at(0.2, 0.5), looked_at(0.3, 0.8)]
    chosen = [each["lr"] for each in choose(candidates, selected, Goal.MAXIMIZE)]
    assert chosen == [0.3, 0.2, 0.1, 0.4]  # the last was not looked at


def test_of_equal_means_the_search_decides() -> None:
    candidates = [{"lr": 0.1}, {"lr": 0.2}]
    selected = [looked_at(0.2, 0.7), looked_at(0.1, 0.7)]
    assert choose(candidates, selected, Goal.MAXIMIZE)[0] == {"lr": 0.1}
    assert choose(candidates, [], Goal.MAXIMIZE) == candidates


@pytest.mark.parametrize(("goal", "good"), [(Goal.MAXIMIZE, 0.3), (Goal.MINIMIZE, 0.9)])
def test_a_trial_that_diverged_counts_as_the_worst_and_one_that_failed_not_at_all(goal: Goal, good: float) -> None:
    candidates = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    selected = [
        looked_at(0.1, math.nan, TrialState.DIVERGED),
        looked_at(0.1, good),
        looked_at(0.2, math.nan, TrialState.FAILED),
        looked_at(0.2, math.nan, TrialState.FAILED),
        looked_at(0.3, math.nan, TrialState.FAILED),
        looked_at(0.3, good),
    ]
    assert [each["lr"] for each in choose(candidates, selected, goal)] == [0.3, 0.1, 0.2]


def test_derived_seeds_depend_on_sweep_and_purpose_only() -> None:
    assert derive_seed(0, "a", 1) == derive_seed(0, "a", 1)
    seeds = {derive_seed(sweep, purpose, number) for sweep in (0, 1) for purpose in "ab" for number in range(50)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
