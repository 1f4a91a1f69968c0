"""Which retraining comes next, by the whole searcher, whose trials are played."""

from pathlib import Path

import pytest
from play_search import SWEEP, build_searcher, finish, ledger_of

from sweeps.driver.searcher import ArmSearcher
from tracking.names import STAGE_CONFIRM, STAGE_DEFAULT, STAGE_SEARCH, STAGE_SELECT
from trainer.trainable import TrialRequest, parse_trial

SELECT = "{top: 1, seeds: 3, select: {top: 2, seeds: 2}, defaults: true}"
RACE = "{top: 1, seeds: 7, race: true}"
POINTS = {"sgd": 0.6, "adam": 0.4}


def with_confirm(confirm: str) -> str:
    return SWEEP.replace("{top: 1, seeds: 2}", confirm)


def score(request: TrialRequest) -> float:
    """The earlier of an arm's search trials are the better ones there; fresh seeds show that the second is the best."""
    if request.stage == STAGE_SEARCH:
        return POINTS[request.arm] - request.number / 100
    return POINTS[request.arm] + request.number / 1000 + (0.05 if request.trial_id.endswith(("-01", "-03")) else 0)


def play(searcher: ArmSearcher, most: int = 1000) -> list[TrialRequest]:
    requests: list[TrialRequest] = []
    while len(requests) < most and (config := searcher.suggest(ray_id := str(len(requests)))) != "FINISHED":
        assert isinstance(config, dict)
        requests.append(parse_trial(config))
        finish(searcher, ray_id, score(requests[-1]))
    return requests


def test_after_the_search_comes_the_selection_then_retrainings_seed_by_seed(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path, text=with_confirm(SELECT)))
    later = [(each.stage, each.arm) for each in requests if each.stage != STAGE_SEARCH]
    assert later[:8] == [(STAGE_SELECT, "sgd")] * 4 + [(STAGE_SELECT, "adam")] * 4
    one_seed = [(stage, arm) for arm in ("sgd", "adam") for stage in (STAGE_CONFIRM, STAGE_DEFAULT)]
    assert later[8:] == one_seed * 3
    assert [each.read_test for each in requests] == [each.stage in (STAGE_CONFIRM, STAGE_DEFAULT) for each in requests]


def test_what_the_selection_finds_best_is_retrained(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path, text=with_confirm(SELECT)))
    for arm in POINTS:
        search = [each for each in requests if (each.arm, each.stage) == (arm, STAGE_SEARCH)]
        confirmed = {each.parameters["lr"] for each in requests if (each.arm, each.stage) == (arm, STAGE_CONFIRM)}
        assert confirmed == {search[1].parameters["lr"]}


def test_untuned_defaults_are_those_of_the_library_with_the_same_seeds(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path, text=with_confirm(SELECT)))
    defaults = [each for each in requests if each.stage == STAGE_DEFAULT]
    found = {each.arm: {name: each.parameters[name] for name in each.parameters if name != "seed"} for each in defaults}
    fixed = {"dataset": "synthetic", "epochs": 9, "batch_size": 128}
    assert found["adam"] == {**fixed, "optimizer": "adam", "lr": 0.001, "beta1": 0.9}
    assert found["sgd"] == {**fixed, "optimizer": "sgd", "lr": 0.001}
    seeds = {
        stage: [each.parameters["seed"] for each in requests if each.stage == stage]
        for stage in (STAGE_CONFIRM, STAGE_DEFAULT)
    }
    assert seeds[STAGE_CONFIRM] == seeds[STAGE_DEFAULT]


def test_an_arm_that_can_no_longer_win_is_retrained_no_further(tmp_path: Path) -> None:
    requests = play(build_searcher(tmp_path, text=with_confirm(RACE)))
    confirmed = [each.arm for each in requests if each.stage == STAGE_CONFIRM]
    assert confirmed == ["sgd", "adam"] * 4 + ["sgd"] * 3


def test_a_race_of_equal_arms_drops_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POINTS, "adam", POINTS["sgd"])
    requests = play(build_searcher(tmp_path, text=with_confirm(RACE)))
    assert [each.arm for each in requests if each.stage == STAGE_CONFIRM] == ["sgd", "adam"] * 7


@pytest.mark.parametrize("confirm", [SELECT, RACE])
@pytest.mark.parametrize("cut", [9, 12, 13, 17, 20])
def test_a_sweep_that_was_cut_off_goes_on_where_it_was(tmp_path: Path, confirm: str, cut: int) -> None:
    text = with_confirm(confirm)
    whole = [each.trial_id for each in play(build_searcher(tmp_path, text=text))]
    first = build_searcher(tmp_path, text=text)
    begun = [each.trial_id for each in play(first, cut)]
    rest = [each.trial_id for each in play(build_searcher(tmp_path, text=text, known=ledger_of(first)))]
    assert begun + rest == whole


def test_more_seeds_later_repeat_nothing(tmp_path: Path) -> None:
    first = build_searcher(tmp_path, text=with_confirm("{top: 1, seeds: 2}"))
    begun = play(first)
    more = play(build_searcher(tmp_path, text=with_confirm("{top: 2, seeds: 3}"), known=ledger_of(first)))
    assert {each.stage for each in more} == {STAGE_CONFIRM}
    known = {(each.arm, tuple(each.parameters.items())) for each in begun}
    assert not known & {(each.arm, tuple(each.parameters.items())) for each in more}
    numbers = [each.number for each in (*begun, *more) if (each.arm, each.stage) == ("sgd", STAGE_CONFIRM)]
    assert numbers == list(range(6))
