"""The contract of every row of the table of methods."""

import math
from pathlib import Path
from typing import cast

import pytest
from play_search import SWEEP, adapt, build_searcher, finish, ledger_of, play

from sweeps.search.methods import METHODS
from sweeps.search.proposer import ArmSearch
from sweeps.search.study import StudyProposer
from sweeps.spec.arms import build_arms
from sweeps.trials.ledger import TrialEntry
from tracking.names import STAGE_CONFIRM, STAGE_SEARCH, TrialState
from trainer.trainable import TrialRequest, parse_trial

POINTS = "points: [{optimizer: adam, lr: 0.05}, {batch_size: 64, lr: 0.02}]"


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_arms_get_equal_budgets_and_each_is_retrained(self, method: str, tmp_path: Path) -> None:
        requests = play(build_searcher(tmp_path, method, text=adapt(method)))
        for arm in ("sgd", "adam"):
            stages = [request.stage for request in requests if request.arm == arm]
            assert stages == [STAGE_SEARCH] * 4 + [STAGE_CONFIRM] * 2

    def test_same_seed_same_proposals(self, method: str, tmp_path: Path) -> None:
        first, second = (play(build_searcher(tmp_path, method, text=adapt(method))) for _ in range(2))
        assert first == second

    def test_a_restored_search_goes_on_as_if_never_interrupted(self, method: str, tmp_path: Path) -> None:
        whole = play(build_searcher(tmp_path, method, text=adapt(method)))
        before = build_searcher(tmp_path, method, text=adapt(method))
        for number in range(3):
            before.suggest(str(number))
            finish(before, str(number), 0.5 + (number + 1) / 1000)
        after = build_searcher(tmp_path, method, text=adapt(method), known=ledger_of(before))
        rest: list[TrialRequest] = []
        while (config := after.suggest(ray_id := str(3 + len(rest)))) != "FINISHED":
            assert isinstance(config, dict)
            rest.append(parse_trial(config))
            finish(after, ray_id, 0.5 + (3 + len(rest)) / 1000)
        assert rest == whole[3:]

    def test_row_says_what_it_is(self, method: str) -> None:
        assert METHODS[method].description
        assert METHODS[method].source


@pytest.mark.parametrize(("method", "num_trials", "num_seeds"), [("bayes", 25, 6), ("gp", 12, 3), ("genetic", 25, 6)])
def test_no_method_keeps_on_proposing_what_diverges(
    method: str, num_trials: int, num_seeds: int, tmp_path: Path
) -> None:
    arm = build_arms(build_searcher(tmp_path, method)._sweep.spec)[0]
    num_diverged = 0
    for seed in range(num_seeds):
        proposer = METHODS[method].build(ArmSearch(arm, seed, num_trials=num_trials))
        for number in range(num_trials):
            parameters = proposer.propose(number)
            assert parameters is not None
            entry = TrialEntry(f"sgd-{number}", "sgd", STAGE_SEARCH, number, 0, parameters)
            lr = cast("float", parameters["lr"])
            entry.state = TrialState.COMPLETED if lr < 0.1 else TrialState.DIVERGED
            entry.best_score = 0.5 - abs(math.log10(lr / 0.05)) if lr < 0.1 else math.nan
            num_diverged += lr >= 0.1
            proposer.tell(entry)
    print(f"{method}: {num_diverged} of {num_trials * num_seeds} diverged")
    # A third of draws at random would. Told of FAIL, TPE and the Gaussian process come to two thirds.
    assert num_diverged / (num_trials * num_seeds) < 0.45


@pytest.mark.parametrize("method", ["random", "sobol", "bayes", "genetic", "grid"])
def test_every_trial_fulfils_the_constraints(method: str, tmp_path: Path) -> None:
    text = f"constraints: batch_size < 64 or lr > 0.02\n{adapt(method)}"
    requests = play(build_searcher(tmp_path, method, text=text))
    search = [request.parameters for request in requests if request.stage == STAGE_SEARCH]
    assert search
    for parameters in search:
        assert parameters["batch_size"] == 32 or cast("float", parameters["lr"]) > 0.02


@pytest.mark.parametrize(
    "method", [method.name for method in METHODS.values() if method.learns and method.takes_metrics]
)
def test_of_several_metrics_a_study_hears_all(method: str, tmp_path: Path) -> None:
    text = SWEEP + "metrics: [{name: val_accuracy}, {name: train_seconds}]\n"
    searcher = build_searcher(tmp_path, method, text=text)
    requests = play(searcher)
    assert requests == play(build_searcher(tmp_path, method, text=text))
    proposer = searcher._proposers["sgd"]
    assert isinstance(proposer, StudyProposer)
    assert [each.name for each in proposer.study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in proposer.study.trials] == [
        [pytest.approx(0.5 + (number + 1) / 1000), 18.0] for number in (0, 2, 4, 6)
    ]


@pytest.mark.parametrize("method", ["random", "sobol", "bayes", "genetic"])
def test_points_are_tried_first_in_the_arms_that_they_fit(method: str, tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path, method, text=f"{POINTS}\n{SWEEP}"))
    sgd, adam = (
        [request.parameters for request in requests if request.arm == arm and request.stage == STAGE_SEARCH]
        for arm in ("sgd", "adam")
    )
    assert [(each["batch_size"], each["lr"]) for each in sgd[:1]] == [(64, 0.02)]
    assert adam[0]["lr"] == 0.05
    assert (adam[1]["batch_size"], adam[1]["lr"]) == (64, 0.02)
    assert all("beta1" in each for each in adam)
    assert len(sgd) == len(adam) == 4
    assert len({each["lr"] for each in sgd}) == 4


@pytest.mark.parametrize("method", sorted(METHODS))
def test_an_extended_search_goes_on_with_trials_that_were_not_there_before(method: str, tmp_path: Path) -> None:
    first = build_searcher(tmp_path, method, text=adapt(method))
    before = play(first)
    longer = adapt(method).replace("trials_per_arm: 4", "trials_per_arm: 8").replace("[32, 64]", "[64, 16, 32]")
    longer = longer.replace("max: 1}", "max: 3}").replace("max: 1e-1}", "max: 1}")
    after = play(build_searcher(tmp_path, method, text=longer, known=ledger_of(first)))
    search = [request for request in (*before, *after) if request.stage == STAGE_SEARCH]
    for arm in ("sgd", "adam"):
        own = [request for request in search if request.arm == arm]
        if method == "grid":
            assert len(own) == 6, "three batch sizes by two learning rates"
            assert len({tuple(sorted(map(repr, each.parameters.items()))) for each in own}) == 6
        assert [each.number for each in own] == list(range(len(own)))
        configurations = [{k: v for k, v in each.parameters.items() if k != "seed"} for each in own]
        assert all(each not in configurations[:index] for index, each in enumerate(configurations))
        assert len(own) >= 6
